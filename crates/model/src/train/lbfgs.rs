//! L-BFGS, and its variant for the L1 penalty (orthant-wise, Andrew and Gao 2007).

use std::collections::VecDeque;

use super::loss::Problem;

/// Steps remembered to estimate the curvature.
const MEMORY: usize = 10;
/// Halvings of one step, at most.
const HALVINGS: usize = 30;
/// Enough when the loss falls by less than this part of itself over [`PATIENCE`] steps.
const TOLERANCE: f64 = 1e-6;
const PATIENCE: usize = 5;

/// Makes the loss plus `l1` times the sizes of the weights small, from `weights` on. Calls `step`
/// with the number of steps done and the value. Returns the value reached.
pub(crate) fn minimise(
    problem: &Problem<'_>,
    l1: f64,
    passes: u32,
    weights: &mut Vec<f64>,
    step: &mut dyn FnMut(u32, f64),
) -> f64 {
    let mut search = Search::new(problem, l1, weights);
    let mut history = VecDeque::from([search.value]);
    for done in 1..=passes {
        if !search.advance() {
            break;
        }
        step(done, search.value);
        history.push_back(search.value);
        if history.len() > PATIENCE {
            let before = history.pop_front().unwrap_or(f64::INFINITY);
            if before - search.value <= TOLERANCE * search.value.abs().max(1e-9) {
                break;
            }
        }
    }
    *weights = search.at;
    search.value
}

struct Search<'a> {
    problem: &'a Problem<'a>,
    l1: f64,
    at: Vec<f64>,
    gradient: Vec<f64>,
    value: f64,
    /// Last moves, the changes of the gradient along them, and one over their product.
    memory: VecDeque<(Vec<f64>, Vec<f64>, f64)>,
}

impl<'a> Search<'a> {
    fn new(problem: &'a Problem<'a>, l1: f64, start: &[f64]) -> Search<'a> {
        let mut gradient = vec![0.0; start.len()];
        let smooth = problem.loss_and_gradient(start, &mut gradient);
        let mut search = Search {
            problem,
            l1,
            at: start.to_vec(),
            gradient,
            value: smooth,
            memory: VecDeque::new(),
        };
        search.value += search.sizes(&search.at);
        search
    }

    fn sizes(&self, weights: &[f64]) -> f64 {
        if self.l1 == 0.0 {
            return 0.0;
        }
        self.l1
            * weights
                .iter()
                .take(self.problem.penalised())
                .map(|w| w.abs())
                .sum::<f64>()
    }

    /// One step. False when there is no way down any more.
    fn advance(&mut self) -> bool {
        let slope = self.slope();
        let mut direction = self.direction(&slope);
        if self.l1 > 0.0 {
            // Where the direction and the steepest way down disagree, the kink at zero is in between.
            let pairs = direction
                .iter_mut()
                .zip(&slope)
                .take(self.problem.penalised());
            pairs
                .filter(|(d, s)| **d * **s >= 0.0)
                .for_each(|(d, _)| *d = 0.0);
        }
        let mut fall = dot(&direction, &slope);
        if fall >= 0.0 {
            self.memory.clear();
            direction = slope.iter().map(|s| -s).collect();
            fall = -dot(&slope, &slope);
        }
        let first = if self.memory.is_empty() {
            (1.0 / (-fall).sqrt()).min(1.0)
        } else {
            1.0
        };
        fall < -1e-20 && self.walk(&direction, &slope, first)
    }

    /// Goes along the direction until the value has fallen enough.
    fn walk(&mut self, direction: &[f64], slope: &[f64], first: f64) -> bool {
        let mut length = first;
        let mut gradient = vec![0.0; self.at.len()];
        for _ in 0..HALVINGS {
            let next = self.moved(direction, slope, length);
            let value = self.problem.loss_and_gradient(&next, &mut gradient) + self.sizes(&next);
            let gain: f64 = next
                .iter()
                .zip(&self.at)
                .zip(slope)
                .map(|((n, a), s)| (n - a) * s)
                .sum();
            if value.is_finite() && gain < 0.0 && value <= self.value + 1e-4 * gain {
                self.remember(&next, &gradient);
                (self.at, self.gradient, self.value) = (next, gradient, value);
                return true;
            }
            length *= 0.5;
        }
        false
    }

    /// The point at that length; under L1 no weight may cross zero in one step.
    fn moved(&self, direction: &[f64], slope: &[f64], length: f64) -> Vec<f64> {
        let mut next: Vec<f64> = self
            .at
            .iter()
            .zip(direction)
            .map(|(at, d)| at + length * d)
            .collect();
        if self.l1 > 0.0 {
            let penalised = self.problem.penalised();
            for ((next, at), slope) in next.iter_mut().zip(&self.at).zip(slope).take(penalised) {
                let side = if *at == 0.0 { -slope } else { *at };
                if *next * side <= 0.0 {
                    *next = 0.0;
                }
            }
        }
        next
    }

    /// The gradient with the L1 penalty: at zero the side that goes down, if any.
    fn slope(&self) -> Vec<f64> {
        let mut slope = self.gradient.clone();
        if self.l1 > 0.0 {
            let penalised = self.problem.penalised();
            for (slope, weight) in slope.iter_mut().zip(&self.at).take(penalised) {
                *slope = match *weight {
                    w if w > 0.0 => *slope + self.l1,
                    w if w < 0.0 => *slope - self.l1,
                    _ => slope.signum() * (slope.abs() - self.l1).max(0.0),
                };
            }
        }
        slope
    }

    /// Minus the slope, bent by the curvature that the last steps showed.
    fn direction(&self, slope: &[f64]) -> Vec<f64> {
        let mut direction: Vec<f64> = slope.iter().map(|s| -s).collect();
        let mut shares = Vec::with_capacity(self.memory.len());
        for (moved, changed, inverse) in self.memory.iter().rev() {
            let share = inverse * dot(moved, &direction);
            add(&mut direction, -share, changed);
            shares.push(share);
        }
        if let Some((_, changed, inverse)) = self.memory.back() {
            let scale = 1.0 / (inverse * dot(changed, changed));
            direction.iter_mut().for_each(|d| *d *= scale);
        }
        for ((moved, changed, inverse), share) in self.memory.iter().zip(shares.iter().rev()) {
            let back = inverse * dot(changed, &direction);
            add(&mut direction, share - back, moved);
        }
        direction
    }

    fn remember(&mut self, next: &[f64], gradient: &[f64]) {
        let moved: Vec<f64> = next.iter().zip(&self.at).map(|(n, a)| n - a).collect();
        let changed: Vec<f64> = gradient
            .iter()
            .zip(&self.gradient)
            .map(|(n, o)| n - o)
            .collect();
        let product = dot(&moved, &changed);
        if product > 1e-16 * dot(&changed, &changed).max(f64::MIN_POSITIVE) {
            self.memory.push_back((moved, changed, 1.0 / product));
            if self.memory.len() > MEMORY {
                self.memory.pop_front();
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], times: f64, what: &[f64]) {
    to.iter_mut()
        .zip(what)
        .for_each(|(to, what)| *to += times * what);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{labels::Learner, rows::Rows};

    /// y = 2a - b + 3, and a third feature that is noise.
    fn rows() -> Rows {
        let mut rows = Rows {
            starts: vec![0],
            ..Rows::default()
        };
        for i in 0..200 {
            let [a, b, c] = [7, 11, 13].map(|p| f64::from(i * p % 17) / 17.0 - 0.5);
            rows.features.extend([0, 1, 2]);
            rows.values.extend([a as f32, b as f32, c as f32]);
            rows.starts.push(rows.features.len());
            rows.targets.push(2.0 * a - b + 3.0);
            rows.weights.push(1.0);
        }
        rows
    }

    fn solve(l1: f64, l2: f64) -> Vec<f64> {
        let rows = rows();
        let subset: Vec<u32> = (0..200).collect();
        let learner = Learner::Linear;
        let problem = Problem {
            rows: &rows,
            subset: &subset,
            learner,
            outputs: 1,
            features: 3,
            l2,
        };
        let mut weights = vec![0.0; problem.size()];
        minimise(&problem, l1, 100, &mut weights, &mut |_, _| {});
        weights
    }

    #[test]
    fn without_penalties_it_finds_the_line() {
        for (found, right) in solve(0.0, 0.0).iter().zip([2.0, -1.0, 0.0, 3.0]) {
            assert!((found - right).abs() < 1e-2, "{found} {right}");
        }
    }

    #[test]
    fn l1_makes_useless_weights_zero_and_l2_makes_all_smaller() {
        let sparse = solve(0.02, 0.0);
        assert_eq!(sparse[2], 0.0);
        assert!(sparse[0] > 1.0 && sparse[0] < 2.0);
        assert_eq!(solve(10.0, 0.0)[..3], [0.0; 3]);
        let shrunk = solve(0.0, 0.1);
        assert!(shrunk[0] > 0.5 && shrunk[0] < 1.9);
    }
}
