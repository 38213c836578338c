use crate::arguments::Extent;
use crate::build::Build;
use crate::figures::{Figure, Figures};
use crate::stage::Stage;

/// One build's turn.
pub struct Turn<'a> {
    pub stage: &'a Stage,
    pub build: &'a Build,
    pub extent: &'a Extent,
    /// Which figures belong together.
    pub round: u32,
    pub figures: &'a mut Figures,
}

impl Turn<'_> {
    pub fn record(&mut self, figure: Figure, value: f64) {
        self.figures.record(self.build.name, self.round, figure, value);
    }

    pub fn this_round(&self, figure: Figure) -> Option<f64> {
        self.figures.in_round(self.build.name, self.round, figure)
    }

    /// Where the messages of an instance go to.
    pub fn receiver(&self) -> String {
        format!("http://{}/", self.stage.nginx.address)
    }
}
