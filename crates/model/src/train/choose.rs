//! Penalties chosen on the training rows: learned on some of them, judged on the others.

use super::lbfgs::minimise;
use super::loss::Problem;
use super::options::{Progress, TrainOptions};

/// Penalties tried, strong first, each starting from the weights of the one before.
const L2: [f64; 10] = [1e-1, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6];
const L1: [f64; 3] = [1e-3, 1e-4, 1e-5];
/// A fifth of the rows is held out at a time.
const FOLDS: u64 = 5;
/// From so many rows on one held-out fifth tells enough.
const ROWS_FOR_ONE_FOLD: usize = 10_000;
/// Steps of each try, at most.
const PASSES: u32 = 60;
/// Tries without improvement after which weaker penalties are not tried.
const PATIENCE: usize = 2;

/// The penalties of a training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Penalties {
    pub(crate) l1: f64,
    pub(crate) l2: f64,
}

/// The penalties asked for; those left open are the best on held-out rows of the problem.
pub(crate) fn penalties(
    problem: &Problem<'_>,
    options: &TrainOptions,
    progress: &mut dyn FnMut(Progress),
) -> Penalties {
    let mut trial = Trial::new(problem, options, progress);
    let l1 = options.l1.unwrap_or(0.0);
    let mut best = match options.l2 {
        Some(l2) => Penalties { l1, l2 },
        None => trial.best(L2.iter().map(|l2| Penalties { l1, l2: *l2 })).0,
    };
    // Only with more features than rows is there reason to hope that most are useless.
    if options.l1.is_none() && problem.features > problem.subset.len() {
        let sparse = L1.iter().map(|l1| Penalties {
            l1: *l1,
            l2: best.l2,
        });
        best = trial.best(std::iter::once(best).chain(sparse)).0;
    }
    best
}

struct Trial<'a, 'b> {
    problem: &'a Problem<'a>,
    folds: Vec<(Vec<u32>, Vec<u32>)>,
    progress: &'b mut dyn FnMut(Progress),
    tried: usize,
}

impl<'a, 'b> Trial<'a, 'b> {
    fn new(
        problem: &'a Problem<'a>,
        options: &TrainOptions,
        progress: &'b mut dyn FnMut(Progress),
    ) -> Trial<'a, 'b> {
        let folds = if problem.subset.len() >= ROWS_FOR_ONE_FOLD {
            1
        } else {
            FOLDS
        };
        let split = |fold: u64| {
            let held = |row: &u32| mix(options.seed ^ (u64::from(*row) << 1 | 1)) % FOLDS == fold;
            problem.subset.iter().partition(|row| !held(row))
        };
        Trial {
            problem,
            folds: (0..folds).map(split).collect(),
            progress,
            tried: 0,
        }
    }

    /// The candidate with the least loss on held-out rows.
    fn best(&mut self, candidates: impl Iterator<Item = Penalties>) -> (Penalties, f64) {
        let mut weights = vec![vec![0.0; self.problem.size()]; self.folds.len()];
        let mut best = (Penalties { l1: 0.0, l2: 1e-3 }, f64::INFINITY);
        let mut worse = 0;
        for candidate in candidates {
            let loss = self.held_out_loss(candidate, &mut weights);
            if loss < best.1 {
                (best, worse) = ((candidate, loss), 0);
            } else {
                worse += 1;
            }
            if worse == PATIENCE {
                break;
            }
        }
        best
    }

    fn held_out_loss(&mut self, penalties: Penalties, weights: &mut [Vec<f64>]) -> f64 {
        let mut loss = 0.0;
        for ((learn, judge), weights) in self.folds.iter().zip(weights.iter_mut()) {
            let problem = Problem {
                subset: learn,
                l2: penalties.l2,
                ..*self.problem
            };
            minimise(&problem, penalties.l1, PASSES, weights, &mut |_, _| {});
            loss += Problem {
                subset: judge,
                ..problem
            }
            .loss(weights)
                / self.folds.len() as f64;
        }
        self.tried += 1;
        let fraction = (self.tried as f64 / (L2.len() + L1.len() + 1) as f64).min(1.0);
        let Penalties { l1, l2 } = penalties;
        (self.progress)(Progress::Choosing {
            fraction,
            l1,
            l2,
            loss,
        });
        loss
    }
}

/// Spreads numbers evenly (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
