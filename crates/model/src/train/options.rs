//! What may be asked of a training, and what it tells on the way.

/// How to train. What is left open is chosen on the training rows alone.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainOptions {
    /// Penalty on the size of weights, which makes useless ones exactly zero. `None`: chosen.
    pub l1: Option<f64>,
    /// Penalty on the square of weights. `None`: chosen.
    pub l2: Option<f64>,
    /// Steps of the optimiser, at most; each passes over all rows at least once.
    pub passes: u32,
    /// Decides which training rows are held out when penalties are chosen.
    pub seed: u64,
}

impl Default for TrainOptions {
    fn default() -> TrainOptions {
        TrainOptions {
            l1: None,
            l2: None,
            passes: 200,
            seed: 0,
        }
    }
}

/// How far a training has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// The rows are turned into features.
    Features {
        /// Part of the rows done, 0 to 1.
        fraction: f64,
    },
    /// Penalties are tried on held-out training rows.
    Choosing {
        /// Part of the most tries done, 0 to 1.
        fraction: f64,
        /// The penalty on the size of weights that was tried.
        l1: f64,
        /// The penalty on the square of weights that was tried.
        l2: f64,
        /// Mean loss on the held-out rows.
        loss: f64,
    },
    /// The weights are learned on all training rows.
    Learning {
        /// Part of the most passes done, 0 to 1; 1 when it is good enough earlier.
        fraction: f64,
        /// Mean loss and penalties on the training rows.
        loss: f64,
    },
}
