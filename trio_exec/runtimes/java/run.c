/*
 * Starts a Java program as the JDK's `java` does, but learns the name of its main class late: it
 * reads that from a file once the virtual machine is up. A FIFO in the file's place lets the
 * machine be started before there is a program.
 *
 * Usage: run [option of the virtual machine]... FILE [argument of the program]...
 *
 * What java(1) does is repeated step by step, so that a program sees no difference: the main
 * thread is one of its own with the default stack, the JDK's own helper loads and checks the main
 * class and complains about it, nothing but the virtual machine is below `main` on the stack, an
 * uncaught exception is told by the thread's end, and threads that are no daemons are waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <jni.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "age.h"

enum { OPTIONS_MAX = 64, NAME_MAX_BYTES = 65536, LAUNCH_MODE_CLASS = 1 };

/* The default of -Xss. */
#ifdef __aarch64__
enum { STACK_SIZE = 2 << 20 };
#else
enum { STACK_SIZE = 1 << 20 };
#endif

static int argument_count;
static char **arguments;

static void fail(const char *what) {
  fprintf(stderr, "run: %s\n", what);
  exit(1);
}

static bool is_fifo(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* What the file holds; reading it waits where it is a FIFO. */
static const char *read_name(const char *path) {
  static char name[NAME_MAX_BYTES];
  int fd;
  do
    fd = open(path, O_RDONLY | O_CLOEXEC);
  while (fd < 0 && errno == EINTR);
  if (fd < 0)
    fail(strerror(errno));
  size_t length = 0;
  ssize_t n;
  while (length < sizeof name - 1 &&
         ((n = read(fd, name + length, sizeof name - 1 - length)) > 0 || (n < 0 && errno == EINTR)))
    length += n > 0 ? (size_t)n : 0;
  close(fd);
  name[length] = '\0';
  return name;
}

/* For what cannot fail unless the virtual machine is broken. */
static void check(JNIEnv *env) {
  if ((*env)->ExceptionCheck(env)) {
    (*env)->ExceptionDescribe(env);
    exit(1);
  }
}

static jstring to_string(JNIEnv *env, jclass helper, const char *text) {
  jsize length = (jsize)strlen(text);
  jbyteArray bytes = (*env)->NewByteArray(env, length);
  check(env);
  (*env)->SetByteArrayRegion(env, bytes, 0, length, (const jbyte *)text);
  jmethodID decode = (*env)->GetStaticMethodID(env, helper, "makePlatformString", "(Z[B)Ljava/lang/String;");
  check(env);
  jstring string = (*env)->CallStaticObjectMethod(env, helper, decode, JNI_TRUE, bytes);
  check(env);
  (*env)->DeleteLocalRef(env, bytes);
  return string;
}

/* What tools such as jps show; java(1) knows it earlier. */
static void set_command(JNIEnv *env, jclass helper, const char *name, char **rest) {
  size_t size = strlen(name) + 1;
  for (char **at = rest; *at != NULL; at++)
    size += strlen(*at) + 1;
  char *command = malloc(size), *end = command;
  if (command == NULL)
    fail("out of memory");
  end = stpcpy(end, name);
  for (char **at = rest; *at != NULL; at++)
    end = stpcpy(stpcpy(end, " "), *at);
  jclass system = (*env)->FindClass(env, "java/lang/System");
  check(env);
  jmethodID set = (*env)->GetStaticMethodID(env, system, "setProperty",
                                            "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;");
  check(env);
  (*env)->CallStaticObjectMethod(env, system, set, (*env)->NewStringUTF(env, "sun.java.command"),
                                 to_string(env, helper, command));
  check(env);
  free(command);
}

static void *run(void *unused) {
  (void)unused;
  JavaVMOption options[OPTIONS_MAX];
  int count = 0, at = 1;
  for (; at < argument_count && arguments[at][0] == '-'; at++) {
    if (count == OPTIONS_MAX)
      fail("too many options");
    options[count++] = (JavaVMOption){.optionString = arguments[at]};
  }
  if (at == argument_count)
    fail("usage: run [option]... FILE [argument]...");
  JavaVMInitArgs init = {.version = JNI_VERSION_21, .nOptions = count, .options = options};
  JavaVM *vm;
  JNIEnv *env;
  if (JNI_CreateJavaVM(&vm, (void **)&env, &init) != JNI_OK)
    exit(1); /* It has said why. */
  jclass helper = (*env)->FindClass(env, "sun/launcher/LauncherHelper");
  check(env);
  jmethodID load =
      (*env)->GetStaticMethodID(env, helper, "checkAndLoadMain", "(ZILjava/lang/String;)Ljava/lang/Class;");
  check(env);

  if (is_fifo(arguments[at]))
    age_take_over(env);
  const char *name = read_name(arguments[at]);
  age_begin();
  char **rest = arguments + at + 1;
  set_command(env, helper, name, rest);
  jstring what = to_string(env, helper, name);
  jclass program = (*env)->CallStaticObjectMethod(env, helper, load, JNI_TRUE, LAUNCH_MODE_CLASS, what);
  check(env);
  jmethodID main_method = (*env)->GetStaticMethodID(env, program, "main", "([Ljava/lang/String;)V");
  check(env);
  jclass string_class = (*env)->FindClass(env, "java/lang/String");
  check(env);
  jobjectArray values = (*env)->NewObjectArray(env, (jsize)(argument_count - at - 1), string_class, NULL);
  check(env);
  for (jsize i = 0; rest[i] != NULL; i++) {
    jstring value = to_string(env, helper, rest[i]);
    (*env)->SetObjectArrayElement(env, values, i, value);
    (*env)->DeleteLocalRef(env, value);
  }
  (*env)->CallStaticVoidMethod(env, program, main_method, values);

  static int code;
  code = (*env)->ExceptionCheck(env) ? 1 : 0;
  (*vm)->DetachCurrentThread(vm); /* Tells of the exception. */
  (*vm)->DestroyJavaVM(vm);       /* Waits for the other threads. */
  return &code;
}

int main(int argc, char **argv) {
  argument_count = argc;
  arguments = argv;
  pthread_attr_t attributes;
  pthread_t thread;
  void *code;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  pthread_attr_setguardsize(&attributes, 0); /* The virtual machine makes its own. */
  if (pthread_create(&thread, &attributes, run, NULL) != 0 || pthread_join(thread, &code) != 0)
    fail("cannot start a thread");
  return *(int *)code;
}
