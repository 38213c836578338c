/// How often a message may be tried, the first try included: 1 to 100, whether the installation, an instance or a request
/// says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MaxTries(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be from 1 to {}", MaxTries::MOST)]
pub struct InvalidTries;

impl MaxTries {
    pub const MOST: u32 = 100;

    pub const FIVE: Self = Self(5);

    /// # Errors
    /// When it is out of these bounds.
    pub fn new(number: u64) -> Result<Self, InvalidTries> {
        u32::try_from(number).ok().filter(|number| (1..=Self::MOST).contains(number)).map(Self).ok_or(InvalidTries)
    }

    pub fn number(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_a_hundred_tries_are_taken() {
        let taken = [0, 1, 100, 101, u64::from(u32::MAX) + 2].map(|number| MaxTries::new(number).map(MaxTries::number));
        assert_eq!(taken, [Err(InvalidTries), Ok(1), Ok(100), Err(InvalidTries), Err(InvalidTries)]);
    }
}
