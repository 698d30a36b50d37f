#include "age.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static jlong began_at_ms, began_after_ms;

static jlong milliseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (jlong)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void age_begin(void) {
  began_at_ms = milliseconds(CLOCK_REALTIME);
  began_after_ms = milliseconds(CLOCK_MONOTONIC);
}

static jlong started_at(JNIEnv *env, jobject self) {
  (void)env;
  (void)self;
  return began_at_ms;
}

static jlong up_for(JNIEnv *env, jobject self) {
  (void)env;
  (void)self;
  return milliseconds(CLOCK_MONOTONIC) - began_after_ms;
}

/* The RuntimeMXBean asks these two. The class is not initialised here: it wants a library that the bean loads. */
void age_take_over(JNIEnv *env) {
  static JNINativeMethod methods[] = {
      {"getStartupTime", "()J", (void *)started_at},
      {"getUptime0", "()J", (void *)up_for},
  };
  jclass classes = (*env)->FindClass(env, "java/lang/Class");
  jmethodID find = classes == NULL ? NULL
                                   : (*env)->GetStaticMethodID(env, classes, "forName",
                                                               "(Ljava/lang/String;ZLjava/lang/ClassLoader;)Ljava/lang/Class;");
  jstring name = find == NULL ? NULL : (*env)->NewStringUTF(env, "sun.management.VMManagementImpl");
  jclass management = name == NULL ? NULL : (*env)->CallStaticObjectMethod(env, classes, find, name, JNI_FALSE, NULL);
  if (management != NULL && !(*env)->ExceptionCheck(env))
    (*env)->RegisterNatives(env, management, methods, sizeof methods / sizeof *methods);
  if ((*env)->ExceptionCheck(env)) {
    (*env)->ExceptionDescribe(env);
    exit(1);
  }
}
