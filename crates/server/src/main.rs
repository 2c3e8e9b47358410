//! The program `balcony`.

use clap::Parser;
use server::cli::Arguments;
use server::report::Exit;

#[cfg(all(target_os = "linux", feature = "jemalloc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> Exit {
    server::commands::perform(&Arguments::parse())
}
