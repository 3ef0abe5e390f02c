#pragma clang optimize off
