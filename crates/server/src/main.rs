//! The program `balcony`.

fn main() {}
