/* Floating point as plain C has it: every printf conversion, arithmetic, libm. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) double hypotenuse(double a, double b)
{
	__asm__ volatile("" ::: "memory");
	return sqrt(a * a + b * b);
}

__attribute__((noinline)) float single(float a, float b)
{
	return a * b + 1.0f / a;
}

static void show(double x)
{
	printf("%f|%.0f|%e|%g|%a|%10.3f|%-12.4e|\n", x, x, x, x, x, x, x);
}

int main(void)
{
	static const double values[] = {
		0.0, -0.0, 1.0, -1.5, 0.1, 1.0 / 3, 123456789.125, -9.999999e-5,
		1e22, 1e-300, DBL_MAX, DBL_MIN, 4.9e-324, INFINITY, -INFINITY, M_PI,
	};

	for (unsigned i = 0; i < sizeof values / sizeof *values; i++)
		show(values[i]);
	printf("%s\n", isnan(values[13] - values[13]) ? "nan" : "number");
	for (int i = 1; i < 6; i++)
		printf("%.17g %.9g\n", hypotenuse(i, i + 1), single(i, 0.7f));
	for (double x = -2; x <= 2; x += 0.5)
		printf("%.12g %.12g %.12g %.12g\n", sin(x), exp(x), atan2(x, 3), pow(2, x));
	for (double x = -2.5; x <= 2.5; x += 0.5)
		printf("%d %lld %u %g %g %g %g\n", (int)x, (long long)(x * 1e12), (unsigned)fabs(x),
		       floor(x), ceil(x), rint(x), fmod(x, 0.7));
	printf("%.17g %.17g\n", strtod("2.2250738585072011e-308", NULL), strtod("0x1.8p3", NULL));
	printf("%.17g %.9g\n", (double)18446744073709551615ULL, (float)-9007199254740993LL);
	return 0;
}
