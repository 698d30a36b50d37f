#ifndef AGE_H
#define AGE_H

#include <jni.h>

/*
 * Has the virtual machine count its time from age_begin on, where a program asks it when it was started and how
 * long it has been up: it may have waited for its program for minutes. To be called before any program runs.
 */
void age_take_over(JNIEnv *env);

/* Now the program begins. */
void age_begin(void);

#endif
