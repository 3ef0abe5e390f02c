/* A timer interrupts a loop all the time; its sum is right, and so is the handler's. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

static volatile sig_atomic_t ticks;
static double handled;

__attribute__((noinline)) double scale(double value)
{
	return value * 1.5 + 0.25;
}

static void tick(int sig)
{
	handled = scale(handled) / 2;
	ticks++;
}

int main(int argc, char **argv)
{
	int wanted = argc > 1 ? atoi(argv[1]) : 20;
	struct itimerval every = {.it_interval = {.tv_usec = 1000}, .it_value = {.tv_usec = 1000}};
	struct sigaction action = {.sa_handler = tick, .sa_flags = SA_RESTART};
	double sum = 0;
	long rounds = 0, wrong = 0;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	while (ticks < wanted) {
		sum = 0;
		for (int i = 0; i < 100; i++)
			sum += scale(i);
		wrong += sum != 100 * 99 / 2 * 1.5 + 25;
		rounds++;
	}
	printf("%d ticks or more, wrong %ld, sum %g, some rounds %d\n", wanted, wrong, sum, rounds > 0);
	return wrong != 0;
}
