//! What a run is made of, so that it can be made again.

use std::io::Write;

use fastrand::Rng;

/// Seeded by the variable, else by a number that is always the same. The seed is told on the terminal when it is not.
pub fn dice(variable: &str) -> Rng {
    const SEED: u64 = 0x0c0_44e10;
    let given = std::env::var(variable).ok().map(|text| text.parse().expect("a seed is a number"));
    if let Some(seed) = given {
        let _ = writeln!(std::io::stderr(), "{variable}={seed}");
    }
    // A run that fails prints it too.
    println!("{variable}={}", given.unwrap_or(SEED));
    Rng::with_seed(given.unwrap_or(SEED))
}

/// How often: the variable's number, else the usual one.
pub fn times(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().expect("a count is a number"))
}
