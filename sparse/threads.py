"""Run compiled kernels on the threads that torch already has.

numba's own parallel loops bring a second pool of threads. Where torch's and numba's threads wait for each other by
spinning, two pools on the same cores cost more than the second core gains. So the tasks of a kernel go to the OpenMP runtime
that torch was built with, through the entry point that compiled ``#pragma omp parallel`` blocks call. Waking torch's threads
takes microseconds, and their number is torch's (``torch.set_num_threads``).

Tasks are handed out one by one, so that a thread whose core is taken by another process holds up one task and not a fixed
share of them all.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Below this many multiply-adds, waking another thread costs more than it saves (benchmarks/kernels.py).
MIN_WORK_PER_THREAD = 200_000


def worth(work: int) -> int:
    """How many threads a kernel of so many multiply-adds is worth: all of torch's, or one.

    A number in between would have the OpenMP runtime end the threads that are left out, and start them anew for torch.
    """
    n_threads = torch.get_num_threads()
    return n_threads if TEAM and work >= n_threads * MIN_WORK_PER_THREAD else 1


def _find_team() -> int:
    """The address of ``GOMP_parallel`` in torch's OpenMP runtime; 0 where there is none, and kernels run on one thread."""
    libraries = sorted((Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"))
    for library in libraries:
        try:
            return ctypes.cast(ctypes.CDLL(str(library)).GOMP_parallel, ctypes.c_void_p).value or 0
        except (OSError, AttributeError):
            continue
    return 0


TEAM = _find_team()


@intrinsic
def share_out(typing_context: Any, task: Any, arguments: Any, n_tasks: Any, n_threads: Any, team: Any) -> Any:
    """Call ``task(i, *arguments)`` for each ``i`` below ``n_tasks``, on so many threads; for use in compiled code.

    Args:
        typing_context: numba's.
        task: A compiled function that returns nothing and raises nothing.
        arguments: A tuple.
        n_tasks: Tasks.
        n_threads: Threads that take tasks until none is left; the caller's is one of them.
        team: :data:`TEAM`, which must not be 0 where there is more than one thread.
    """
    signature = types.void(task, arguments, types.intp, types.intp, types.intp)
    task_signature = task.get_call_type(typing_context, (types.intp, *arguments.types), {})

    def codegen(context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        _, packed, n_tasks, n_threads, team = values
        compiled = task.dispatcher.overloads[tuple(task_signature.args)]
        context.active_code_library.add_linking_library(compiled.library)

        # What the threads share: the next task's number, the number of tasks, the arguments.
        number, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
        frame_type = ir.LiteralStructType([number, number, packed.type])
        frame = cgutils.alloca_once(builder, frame_type)
        for place, value in enumerate((ir.Constant(number, 0), n_tasks, packed)):
            builder.store(value, cgutils.gep_inbounds(builder, frame, 0, place))

        # What each of them runs: take a number, do that task, until there is none.
        name = builder.module.get_unique_name("take_tasks")
        member = ir.Function(builder.module, ir.FunctionType(ir.VoidType(), [pointer]), name)
        member.linkage = "internal"
        entry, head, body, end = (member.append_basic_block(label) for label in ("entry", "head", "body", "end"))
        inside = ir.IRBuilder(entry)
        shared = inside.bitcast(member.args[0], frame_type.as_pointer())
        next_task = cgutils.gep_inbounds(inside, shared, 0, 0)
        last = inside.load(cgutils.gep_inbounds(inside, shared, 0, 1))
        unpacked = cgutils.unpack_tuple(inside, inside.load(cgutils.gep_inbounds(inside, shared, 0, 2)))
        inside.branch(head)
        inside.position_at_end(head)
        i = inside.atomic_rmw("add", next_task, ir.Constant(number, 1), "monotonic")
        inside.cbranch(inside.icmp_signed("<", i, last), body, end)
        inside.position_at_end(body)
        callee = context.declare_function(builder.module, compiled.fndesc)
        context.call_conv.call_function(inside, callee, compiled.fndesc.restype, compiled.fndesc.argtypes, [i, *unpacked])
        inside.branch(head)
        inside.position_at_end(end)
        inside.ret_void()

        # void GOMP_parallel(void (*function)(void *), void *data, unsigned threads, unsigned flags)
        unsigned, data = ir.IntType(32), builder.bitcast(frame, pointer)
        parallel = ir.FunctionType(ir.VoidType(), [member.type, pointer, unsigned, unsigned]).as_pointer()
        with builder.if_else(builder.icmp_signed("==", n_threads, ir.Constant(number, 1))) as (alone, together):
            with alone:
                builder.call(member, [data])
            with together:
                arguments = [member, data, builder.trunc(n_threads, unsigned), ir.Constant(unsigned, 0)]
                builder.call(builder.inttoptr(team, parallel), arguments)
        return context.get_dummy_value()

    return signature, codegen
