"""Some known defects of Linux on powerpc as programs that show them."""

from typing import Final

from uprobes_sim.emit import Reproducer
from uprobes_sim_powerpc.errata import LOST_BCTAR, LOST_NONVOLATILE, VECTOR_LENGTH

COMPILER: Final = "gcc"

REPRODUCERS: Final = {
    LOST_NONVOLATILE: Reproducer("""
mr 0, 31
li 31, 5
spot: addi 31, 31, 1
mr 3, 31
mr 31, 0
blr"""),
    LOST_BCTAR: Reproducer(
        """
mflr 0
bcl 20, 31, 1f
1: mflr 4
addi 4, 4, 2f - 1b
mtspr 815, 4 /* TAR */
mtlr 0
li 3, 0
spot: bctar 20, 0, 0
blr
2: li 3, 1
blr""",
        flags="-mcpu=power8",
    ),
    VECTOR_LENGTH: Reproducer(
        """
li 4, 0x55
std 4, -16(1)
addi 5, 1, -16
li 6, 8
sldi 6, 6, 56 /* eight bytes */
spot: lxvl 34, 5, 6
mfvsrld 3, 34
blr""",
        flags="-mcpu=power9",
    ),
    "powerpc.reservation": Reproducer("""
li 4, 1
stw 4, -16(1)
addi 5, 1, -16
1: lwarx 3, 0, 5
spot: addi 3, 3, 1
stwcx. 3, 0, 5
bne- 1b
blr"""),
    "powerpc.completed_spr": Reproducer("""
spot: mfspr 3, 287 /* PVR, which the kernel answers for */
li 3, 1
blr"""),
    "powerpc.suffix": Reproducer("""
li 3, 1
.balign 16
.long 0x06000000 /* the prefix of paddi 3, 3, 1 */
spot: .long 0x38630001
blr"""),
}
