//! TEMP
use super::facts::*;
#[derive(Debug)]
pub struct Twice;
impl std::fmt::Display for Twice { fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str("x") } }
impl Facts { pub fn join(&mut self, _o: Facts) -> Result<(), Twice> { Ok(()) } }
impl Coverage { pub fn join_file(&mut self, _p: String, _l: Lines) {} pub fn ratio(&self) -> Ratio { Ratio::default() } }
pub fn content_digest(_t: &str) -> String { String::new() }
