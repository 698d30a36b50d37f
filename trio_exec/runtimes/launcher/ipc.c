#include "ipc.h"

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

const char *ipc_clear(void) {
  if (is_clear())
    return NULL;
  identity_act_as_program(true); /* Only who has made it can remove it. */
  remove_all();
  identity_act_as_program(false);
  return is_clear() ? NULL : "the program's shared memory, semaphores or message queues can't be removed";
}
