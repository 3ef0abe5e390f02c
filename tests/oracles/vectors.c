/* Loops that a compiler turns into vector instructions, and mathematics of x87. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { N = 24, BYTES = 1000, SINGLES = 64 };

static double a[N][N], b[N][N], c[N][N];

__attribute__((noinline)) void multiply(void)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

__attribute__((noinline)) unsigned weigh(const unsigned char *bytes, int count)
{
    unsigned sum = 0;
    for (int i = 0; i < count; i++)
        sum += bytes[i] * (i & 7);
    return sum;
}

__attribute__((noinline)) void upper(char *text, int count)
{
    for (int i = 0; i < count; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] -= 32;
}

__attribute__((noinline)) int bits(uint64_t value)
{
    return __builtin_ctzll(value) * 10000 + __builtin_clzll(value) * 100
        + __builtin_popcountll(value);
}

int main(void)
{
    double total = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = i * 0.5 + j;
            b[i][j] = 1.0 / (1 + i + j);
        }
    multiply();
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            total += c[i][j];
    printf("%.17g %.17g\n", total, c[3][4]);

    unsigned char bytes[BYTES];
    for (int i = 0; i < BYTES; i++)
        bytes[i] = i * 7;
    printf("%u\n", weigh(bytes, BYTES));

    char text[] = "the quick brown fox jumps over the lazy dog, and then over another one";
    upper(text, strlen(text));
    puts(text);
    printf("%d %d\n", bits(0x10), bits(0xff00ff00));

    float singles[SINGLES], sum = 0;
    for (int i = 0; i < SINGLES; i++)
        singles[i] = sqrtf(i) * 1.1f;
    for (int i = 0; i < SINGLES; i++)
        sum += singles[i] * singles[SINGLES - 1 - i];
    printf("%.9g\n", sum);

    for (int i = 0; i < 5; i++)
        printf("%.17g %.17g %.21Lg\n", sin(i * 1.3), exp(i * 0.7),
               sinl(i * 1.7L) + expl(i * 0.3L) + atan2l(i, 3));
    return 0;
}
