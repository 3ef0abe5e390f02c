"""core/uprobes_sim/futex.py"""

from toy_arch import DATA, NOP, Box
from uprobes_sim.fork import dup_mm
from uprobes_sim.futex import Futexes, FutexQ, futex_key
from uprobes_sim.memory import VmFlags


def waiting(futexes: Futexes, count: int, key: str = "a", bitset: int = 0xFF) -> list[FutexQ]:
    found = [FutexQ(key, bitset) for _ in range(count)]
    for q in found:
        futexes.queue(q)
    return found


def test_those_who_wait_longest_are_woken_first() -> None:
    futexes = Futexes()
    first, second, third = waiting(futexes, 3)

    assert futexes.wake("a", 2) == 2
    assert [q.woken for q in (first, second, third)] == [True, True, False]
    assert futexes.wake("a", 9) == 1


def test_only_those_are_woken_who_share_a_bit() -> None:
    futexes = Futexes()
    (odd,), (even,) = waiting(futexes, 1, bitset=1), waiting(futexes, 1, bitset=2)

    assert futexes.wake("a", 9, bitset=2) == 1
    assert (odd.woken, even.woken) == (False, True)


def test_who_is_requeued_waits_for_the_other_futex() -> None:
    futexes = Futexes()
    waiting(futexes, 3)

    assert futexes.requeue("a", "b", 2) == 2
    assert (futexes.wake("a", 9), futexes.wake("b", 9)) == (1, 2)


def test_who_waits_no_more_is_not_woken() -> None:
    futexes = Futexes()
    (q,) = waiting(futexes, 1)
    futexes.unqueue(q)

    assert futexes.wake("a", 1) == 0


def test_processes_share_a_futex_in_shared_memory_only() -> None:
    mm = Box((NOP,)).task.mm
    shared = VmFlags.READ | VmFlags.WRITE | VmFlags.SHARED | VmFlags.MAYSHARE
    mm.mmap(0x50000, 0x1000, shared | VmFlags.MAYREAD | VmFlags.MAYWRITE)
    child = dup_mm(mm)

    assert futex_key(mm, 0x50010) == futex_key(child, 0x50010)
    assert futex_key(mm, DATA) != futex_key(child, DATA)
    assert futex_key(mm, 0x50010) != futex_key(mm, 0x50014)
