/* Holds namespaces open and collects orphans: the first process of a pod, and of each of the
   cluster's machines. Its arguments say whose it is, to those who look for it. */
#include <signal.h>
#include <unistd.h>

static void leave(int signal)
{
    (void)signal;
    _exit(0);
}

int main(void)
{
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    /* The kernel collects the children of those who ignore their end. */
    signal(SIGCHLD, SIG_IGN);
    for (;;)
        pause();
}
