//! What differs between architectures when a thread is made to call, or to enter a handler. It must
//! not know what for.

use nix::libc::user_regs_struct;

/// The instruction that makes a system call.
#[cfg(target_arch = "x86_64")]
pub(super) const CALL_INSTRUCTION: &[u8] = &[0x0f, 0x05];
#[cfg(target_arch = "aarch64")]
pub(super) const CALL_INSTRUCTION: &[u8] = &[0x01, 0x00, 0x00, 0xd4];

/// Where the mask of signals is in what a handler gets as its context.
#[cfg(target_arch = "x86_64")]
pub(super) const MASK_IN_CONTEXT: u64 = 296;
#[cfg(target_arch = "aarch64")]
pub(super) const MASK_IN_CONTEXT: u64 = 40;

/// The end of the stack.
#[cfg(target_arch = "x86_64")]
pub(super) fn stack(registers: &user_regs_struct) -> u64 {
    registers.rsp
}

/// The end of the stack.
#[cfg(target_arch = "aarch64")]
pub(super) fn stack(registers: &user_regs_struct) -> u64 {
    registers.sp
}

/// What the call that is left returned.
#[cfg(target_arch = "x86_64")]
pub(super) fn result(registers: &user_regs_struct) -> i64 {
    registers.rax.cast_signed()
}

/// What the call that is left returned.
#[cfg(target_arch = "aarch64")]
pub(super) fn result(registers: &user_regs_struct) -> i64 {
    registers.regs[0].cast_signed()
}

/// Registers of a thread that is about to call from the instruction at `gate`, and that is in no
/// other call that would have to be begun again.
#[cfg(target_arch = "x86_64")]
pub(super) fn calling(saved: &user_regs_struct, gate: u64, number: i64, args: [u64; 4]) -> user_regs_struct {
    let [rdi, rsi, rdx, r10] = args;
    user_regs_struct {
        rip: gate,
        rax: number.cast_unsigned(),
        orig_rax: u64::MAX,
        rdi,
        rsi,
        rdx,
        r10,
        ..*saved
    }
}

/// Registers of a thread that is about to call from the instruction at `gate`.
#[cfg(target_arch = "aarch64")]
pub(super) fn calling(saved: &user_regs_struct, gate: u64, number: i64, args: [u64; 4]) -> user_regs_struct {
    let mut registers = *saved;
    registers.pc = gate;
    registers.regs[..4].copy_from_slice(&args);
    registers.regs[8] = number.cast_unsigned();
    registers
}

/// Has a thread at the first instruction of a handler be told of this signal. Where the handler finds
/// what it is told of the signal, and its context.
#[cfg(target_arch = "x86_64")]
pub(super) fn enter_as(registers: &mut user_regs_struct, signal: u64) -> (u64, u64) {
    registers.rdi = signal;
    (registers.rsi, registers.rdx)
}

/// Has a thread at the first instruction of a handler be told of this signal. Where the handler finds
/// what it is told of the signal, and its context.
#[cfg(target_arch = "aarch64")]
pub(super) fn enter_as(registers: &mut user_regs_struct, signal: u64) -> (u64, u64) {
    registers.regs[0] = signal;
    (registers.regs[1], registers.regs[2])
}
