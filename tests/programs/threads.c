/* Eight threads call one function and add up under a mutex; the sums are told. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 8 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static volatile long total, steps;
static __thread long own;
static int calls = 200;

__attribute__((noinline)) long hammer(long thread, long call)
{
	__asm__ volatile("");
	return thread * 1000 + call;
}

static void *work(void *arg)
{
	long thread = (long)arg;
	pthread_barrier_wait(&barrier);
	for (int call = 0; call < calls; call++) {
		long value = hammer(thread, call);
		own += value;
		pthread_mutex_lock(&mutex);
		total += value;
		steps++;
		pthread_mutex_unlock(&mutex);
	}
	return (void *)own;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	long sum = 0;

	if (argc > 1)
		calls = atoi(argv[1]);
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work, (void *)i))
			return 1;
	for (int i = 0; i < THREADS; i++) {
		void *result;
		pthread_join(threads[i], &result);
		printf("thread %d: %ld\n", i, (long)result);
		sum += (long)result;
	}
	printf("total %ld, sum %ld, steps %ld\n", total, sum, steps);
	return total != sum;
}
