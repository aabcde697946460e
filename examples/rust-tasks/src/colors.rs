// Made by `cargo xtask codegen` of schema/colors.txt.
pub const INK: u32 = 0x1b1b1f;
pub const PAPER: u32 = 0xfdfcf7;
pub const ACCENT: u32 = 0xb3541e;
