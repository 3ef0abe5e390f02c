"""The address space: mmap and its kin (mm/mmap.c, mm/mremap.c, mm/madvise.c)."""

from typing import Final

from uprobes_sim.errno import Errno
from uprobes_sim.errors import KernelError
from uprobes_sim.memory import PROT_MASK, Mm, Vma, VmFlags
from uprobes_sim.page_cache import Inode
from uprobes_sim.syscalls.kernel import Kernel
from uprobes_sim.syscalls.registry import Int, Ptr, ULong, signed, syscall
from uprobes_sim.task import Task
from uprobes_sim.uapi import Layout
from uprobes_sim.units import PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, page_align
from uprobes_sim.vfs.nodes import Device, Regular

MAP_SHARED: Final = 0x1
MAP_PRIVATE: Final = 0x2
MAP_SHARED_VALIDATE: Final = 0x3
MAP_TYPE: Final = 0xF
MAP_FIXED: Final = 0x10
MAP_ANONYMOUS: Final = 0x20
MAP_FIXED_NOREPLACE: Final = 0x100000

MREMAP_MAYMOVE: Final = 1
MREMAP_FIXED: Final = 2

_MADV_DONTNEED: Final = 4
_MADV_UNKNOWN: Final = 150

_MAY_ALL: Final = VmFlags.MAYREAD | VmFlags.MAYWRITE | VmFlags.MAYEXEC
_MMAP2_SHIFT: Final = 12
_MMAP_ARGS: Final = Layout("L:addr L:len L:prot L:flags L:fd L:offset")


@syscall()
def sys_mmap(
    k: Kernel,
    task: Task,
    addr: Ptr,
    length: ULong,
    prot: ULong,
    flags: ULong,
    fd: ULong,
    off: ULong,
) -> int:
    if k.uapi.mmap_by_pointer:
        args = k.get(task, addr, _MMAP_ARGS)
        return _mmap(k, task, *args.values())
    return _mmap(k, task, addr, length, prot, flags, fd, off)


@syscall()
def sys_mmap2(
    k: Kernel,
    task: Task,
    addr: Ptr,
    length: ULong,
    prot: ULong,
    flags: ULong,
    fd: ULong,
    off: ULong,
) -> int:
    return _mmap(k, task, addr, length, prot, flags, fd, off << _MMAP2_SHIFT)


def _mmap(
    k: Kernel, task: Task, addr: int, length: int, prot: int, flags: int, fd: int, off: int
) -> int:
    mm = task.mm
    if not length or off & PAGE_MASK:
        raise KernelError(Errno.EINVAL, "no length, or an offset inside a page")
    if flags & MAP_TYPE not in (MAP_SHARED, MAP_PRIVATE, MAP_SHARED_VALIDATE):
        raise KernelError(Errno.EINVAL, "neither shared nor private")
    inode = None
    vm_flags = VmFlags(prot) & PROT_MASK | _MAY_ALL
    shared = flags & MAP_TYPE != MAP_PRIVATE
    if shared:
        vm_flags |= VmFlags.SHARED | VmFlags.MAYSHARE
    if not flags & MAP_ANONYMOUS:
        inode, vm_flags = _mapped_file(task, signed(fd, 32), vm_flags)
    start = _area(mm, addr, length, flags)
    name = inode.name if inode is not None else ""
    mm.mmap(start, length, vm_flags, inode=inode, pgoff=off >> PAGE_SHIFT, name=name)
    return start


def _mapped_file(task: Task, fd: int, flags: VmFlags) -> tuple[Inode | None, VmFlags]:
    """Find what is to be mapped, and what may be done with it."""
    file = task.files.file(fd)
    if not file.readable:
        raise KernelError(Errno.EACCES, "not open for reading")
    if isinstance(file.node, Device) and file.node.read is not None:
        return None, flags
    if not isinstance(file.node, Regular):
        raise KernelError(Errno.ENODEV, "only regular files can be mapped")
    if flags & VmFlags.SHARED:
        if not file.writable:
            if flags & VmFlags.WRITE:
                raise KernelError(Errno.EACCES, "not open for writing")
            flags &= ~VmFlags.MAYWRITE
        else:
            file.node.changed = True
    return file.node.inode, flags


def _area(mm: Mm, addr: int, length: int, flags: int) -> int:
    """Choose where a mapping goes (get_unmapped_area)."""
    fixed = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)
    if not fixed:
        return mm.get_unmapped_area(length, hint=page_align(addr))
    if addr & PAGE_MASK:
        raise KernelError(Errno.EINVAL, "the address is inside a page")
    _check_range(mm, addr, length)
    if flags & MAP_FIXED_NOREPLACE and mm.find_vmas(addr, addr + page_align(length)):
        raise KernelError(Errno.EEXIST, "something is mapped there")
    return addr


def _check_range(mm: Mm, addr: int, length: int) -> None:
    if addr + page_align(length) > mm.task_size:
        raise KernelError(Errno.ENOMEM, "beyond the address space")


@syscall()
def sys_munmap(k: Kernel, task: Task, addr: Ptr, length: ULong) -> int:
    if addr & PAGE_MASK or not length or addr + page_align(length) > task.mm.task_size:
        raise KernelError(Errno.EINVAL, "no such range")
    task.mm.munmap(addr, length)
    return 0


@syscall()
def sys_mprotect(k: Kernel, task: Task, addr: Ptr, length: ULong, prot: ULong) -> int:
    if addr & PAGE_MASK:
        raise KernelError(Errno.EINVAL, "the address is inside a page")
    if length:
        _check_range(task.mm, addr, length)
        task.mm.mprotect(addr, length, VmFlags(prot) & PROT_MASK)
    return 0


@syscall()
def sys_brk(k: Kernel, task: Task, brk: Ptr) -> int:
    mm = task.mm
    old_end, new_end = page_align(mm.brk), page_align(brk)
    if brk < mm.start_brk or new_end > mm.task_size:
        return mm.brk
    if new_end < old_end:
        mm.munmap(new_end, old_end - new_end)
    elif new_end > old_end:
        if mm.find_vmas(old_end, new_end):
            return mm.brk
        _grow_heap(mm, old_end, new_end)
    mm.brk = brk
    return brk


def _grow_heap(mm: Mm, start: int, end: int) -> None:
    heap = mm.find_vma(start - 1)
    flags = VmFlags.READ | VmFlags.WRITE | _MAY_ALL
    if heap is not None and heap.name == "[heap]" and heap.flags == flags:
        heap.end = end
    else:
        mm.mmap(start, end - start, flags, name="[heap]")


@syscall()
def sys_mremap(
    k: Kernel, task: Task, addr: Ptr, old_len: ULong, new_len: ULong, flags: ULong, new_addr: Ptr
) -> int:
    mm = task.mm
    old_len, new_len = page_align(old_len), page_align(new_len)
    vma = mm.find_vma(addr)
    if addr & PAGE_MASK or not new_len or flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED):
        raise KernelError(Errno.EINVAL, "no such range, or flags")
    if vma is None or addr + old_len > vma.end:
        raise KernelError(Errno.EFAULT, "not one mapping")
    if flags & MREMAP_FIXED:
        if not flags & MREMAP_MAYMOVE or new_addr & PAGE_MASK:
            raise KernelError(Errno.EINVAL, "no such place")
        _check_range(mm, new_addr, new_len)
        mm.munmap(new_addr, new_len)
        return _move(mm, vma, addr, old_len, new_addr, new_len)
    if new_len <= old_len:
        mm.munmap(addr + new_len, old_len - new_len)
        return addr
    if addr + old_len == vma.end and _free(mm, vma.end, addr + new_len):
        vma.end = addr + new_len
        return addr
    if not flags & MREMAP_MAYMOVE:
        raise KernelError(Errno.ENOMEM, "no room to grow")
    return _move(mm, vma, addr, old_len, mm.get_unmapped_area(new_len), new_len)


def _free(mm: Mm, start: int, end: int) -> bool:
    return end <= mm.task_size and not mm.find_vmas(start, end)


def _move(mm: Mm, vma: Vma, old: int, old_len: int, new: int, new_len: int) -> int:
    """Map *new* like *old*, and hand the pages over (move_vma)."""
    pgoff = vma.offset(old) >> PAGE_SHIFT if vma.inode is not None else 0
    mm.mmap(new, new_len, vma.flags, inode=vma.inode, pgoff=pgoff, name=vma.name)
    distance = new - old
    for vpn in _present(mm, old, min(old_len, new_len)):
        vaddr = vpn << PAGE_SHIFT
        mm.drop_private(vaddr + distance)
        mm.pgtable[vpn + (distance >> PAGE_SHIFT)] = mm.pgtable.pop(vpn)
    mm.munmap(old, old_len)
    return new


def _present(mm: Mm, start: int, length: int) -> list[int]:
    """List the numbers of the pages that are there; a range may be absurdly long."""
    first, end = start >> PAGE_SHIFT, (start + length) >> PAGE_SHIFT
    return sorted(vpn for vpn in mm.pgtable if first <= vpn < end)


@syscall()
def sys_madvise(k: Kernel, task: Task, addr: Ptr, length: ULong, advice: Int) -> int:
    if addr & PAGE_MASK or not 0 <= advice < _MADV_UNKNOWN:
        raise KernelError(Errno.EINVAL, "no such range or advice")
    if advice == _MADV_DONTNEED:
        for vpn in _present(task.mm, addr, page_align(length)):
            task.mm.drop_private(vpn << PAGE_SHIFT)
    return 0


@syscall("mlock", "munlock", "msync")
def sys_mlock2(k: Kernel, task: Task, addr: Ptr, length: ULong) -> int:
    end = page_align(addr + length)
    start = addr & ~PAGE_MASK
    mapped = sum(min(vma.end, end) - max(vma.start, start) for vma in task.mm.find_vmas(start, end))
    if mapped != end - start:
        raise KernelError(Errno.ENOMEM, "not all of it is mapped")
    return 0


@syscall()
def sys_mincore(k: Kernel, task: Task, addr: Ptr, length: ULong, vec: Ptr) -> int:
    pages = range(addr, addr + length, PAGE_SIZE)
    if any(task.mm.find_vma(page) is None for page in pages):
        raise KernelError(Errno.ENOMEM, "not all of it is mapped")
    task.mm.write(vec, bytes((page >> PAGE_SHIFT) in task.mm.pgtable for page in pages))
    return 0
