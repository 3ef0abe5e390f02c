"""The QEMU judge: powerpc instructions on drawn operands, here and under qemu-user."""
