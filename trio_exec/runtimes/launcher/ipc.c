#include "ipc.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "identity.h"

union semun {
  int value;
  struct semid_ds *set;
  struct seminfo *info;
};

/* The last index in use of one kind, or -1 for none; where it can't be asked for, it can't be made either. */
static int last_shared_memory(void) {
  struct shm_info info;
  int last = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);
  return last >= 0 && info.used_ids > 0 ? last : -1;
}

static int last_semaphores(void) {
  struct seminfo info;
  int last = semctl(0, 0, SEM_INFO, (union semun){.info = &info});
  return last >= 0 && info.semusz > 0 ? last : -1;
}

static int last_queue(void) {
  struct msginfo info;
  int last = msgctl(0, MSG_INFO, (struct msqid_ds *)&info);
  return last >= 0 && info.msgpool > 0 ? last : -1;
}

/* Whatever their modes: ANY asks for none. */
static void remove_all(void) {
  struct shmid_ds memory;
  for (int at = last_shared_memory(); at >= 0; at--)
    shmctl(shmctl(at, SHM_STAT_ANY, &memory), IPC_RMID, NULL);
  struct semid_ds set;
  for (int at = last_semaphores(); at >= 0; at--)
    semctl(semctl(at, 0, SEM_STAT_ANY, (union semun){.set = &set}), 0, IPC_RMID);
  struct msqid_ds queue;
  for (int at = last_queue(); at >= 0; at--)
    msgctl(msgctl(at, MSG_STAT_ANY, &queue), IPC_RMID, NULL);
}

static bool is_clear(void) { return last_shared_memory() < 0 && last_semaphores() < 0 && last_queue() < 0; }

/* Whether the kernel tells what is at an index, of something that we have made. */
static bool knows_indexes(void) {
  struct shmid_ds memory;
  int made = shmget(IPC_PRIVATE, 1, IPC_CREAT);
  bool found = false;
  for (int at = last_shared_memory(); at >= 0; at--)
    found |= shmctl(at, SHM_STAT_ANY, &memory) >= 0;
  shmctl(made, IPC_RMID, NULL);
  return made < 0 || found;
}

static int remove_shared_memory(int id) { return shmctl(id, IPC_RMID, NULL); }
static int remove_semaphores(int id) { return semctl(id, 0, IPC_RMID); }
static int remove_queue(int id) { return msgctl(id, IPC_RMID, NULL); }

/* Removes all up to the newest, which is ours. */
static bool remove_up_to(int newest, int (*remove)(int id)) {
  enum { IDS_MAX = 1 << 16 }; /* A program may have made and removed any number. */
  bool removed = newest >= 0 && newest < IDS_MAX;
  for (int id = removed ? 0 : newest; id <= newest; id++)
    removed &= remove(id) == 0 || errno == EINVAL;
  return removed;
}

/* In gVisor. Its ids count up, and it knows them only; how many there are it does not say. */
static bool remove_by_ids(void) {
  return remove_up_to(shmget(IPC_PRIVATE, 1, IPC_CREAT), remove_shared_memory) &&
         remove_up_to(semget(IPC_PRIVATE, 1, IPC_CREAT), remove_semaphores) &&
         remove_up_to(msgget(IPC_PRIVATE, IPC_CREAT), remove_queue);
}

const char *ipc_clear(void) {
  if (is_clear())
    return NULL;
  identity_act_as_program(true); /* Only who has made it can remove it. */
  remove_all();
  bool cleared = is_clear() || (!knows_indexes() && remove_by_ids());
  identity_act_as_program(false);
  return cleared ? NULL : "the program's shared memory, semaphores or message queues can't be removed";
}
