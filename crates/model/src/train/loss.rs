//! Mean loss over rows with its gradient. Weights stand feature after feature, one for each output;
//! the biases come last.

use super::labels::Learner;
use super::rows::Rows;

/// Some rows and how to judge predictions for them.
#[derive(Clone, Copy)]
pub(crate) struct Problem<'a> {
    pub(crate) rows: &'a Rows,
    /// Which of the rows.
    pub(crate) subset: &'a [u32],
    pub(crate) learner: Learner,
    /// Outputs for each row.
    pub(crate) outputs: usize,
    /// Features, the bias not counted.
    pub(crate) features: usize,
    pub(crate) l2: f64,
}

impl Problem<'_> {
    /// Weights of all features and the biases.
    pub(crate) fn size(&self) -> usize {
        (self.features + 1) * self.outputs
    }

    /// Weights that are penalised: all but the biases.
    pub(crate) fn penalised(&self) -> usize {
        self.features * self.outputs
    }

    /// Mean loss plus the square penalty; fills in the gradient.
    pub(crate) fn loss_and_gradient(&self, weights: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let mut errors = vec![0.0; self.outputs];
        let (mut loss, mut total) = (0.0, 0.0);
        for row in self.subset {
            let row = *row as usize;
            let heft = self.rows.weights[row];
            self.outputs_of(row, weights, &mut errors);
            loss += heft * self.judge(row, &mut errors);
            total += heft;
            errors.iter_mut().for_each(|error| *error *= heft);
            self.spread(row, &errors, gradient);
        }
        let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
        gradient.iter_mut().for_each(|slope| *slope *= scale);
        let mut squares = 0.0;
        let penalised = self.penalised();
        for (slope, weight) in gradient.iter_mut().zip(weights).take(penalised) {
            *slope += self.l2 * weight;
            squares += weight * weight;
        }
        loss * scale + self.l2 / 2.0 * squares
    }

    /// Mean loss alone, without penalties.
    pub(crate) fn loss(&self, weights: &[f64]) -> f64 {
        let mut outputs = vec![0.0; self.outputs];
        let (mut loss, mut total) = (0.0, 0.0);
        for row in self.subset {
            let row = *row as usize;
            self.outputs_of(row, weights, &mut outputs);
            loss += self.rows.weights[row] * self.judge(row, &mut outputs);
            total += self.rows.weights[row];
        }
        if total > 0.0 { loss / total } else { 0.0 }
    }

    fn outputs_of(&self, row: usize, weights: &[f64], outputs: &mut [f64]) {
        let (weights, biases) = weights.split_at(self.penalised());
        if let ([output], [bias]) = (&mut *outputs, biases) {
            let products = self
                .rows
                .row(row)
                .map(|(feature, value)| weights[feature] * value);
            *output = bias + products.sum::<f64>();
            return;
        }
        outputs.copy_from_slice(biases);
        for (feature, value) in self.rows.row(row) {
            let from = feature * outputs.len();
            for (output, weight) in outputs.iter_mut().zip(&weights[from..]) {
                *output += weight * value;
            }
        }
    }

    /// The loss of one row; turns its outputs into errors.
    fn judge(&self, row: usize, outputs: &mut [f64]) -> f64 {
        let target = self.rows.targets[row];
        match self.learner {
            Learner::Linear => {
                let error = outputs[0] - target;
                outputs[0] = error;
                error * error / 2.0
            }
            Learner::Logistic => {
                let margin = outputs[0];
                outputs[0] = sigmoid(margin) - target;
                // ln(1 + e^-m) for the right answer, without overflow.
                let signed = if target > 0.5 { margin } else { -margin };
                (-signed).max(0.0) + (-signed.abs()).exp().ln_1p()
            }
            Learner::Multinomial => {
                let total = log_sum_exp(outputs);
                let loss = total - outputs[target as usize];
                outputs
                    .iter_mut()
                    .for_each(|output| *output = (*output - total).exp());
                outputs[target as usize] -= 1.0;
                loss
            }
        }
    }

    fn spread(&self, row: usize, errors: &[f64], gradient: &mut [f64]) {
        let (gradient, biases) = gradient.split_at_mut(self.penalised());
        if let ([error], [bias]) = (errors, &mut *biases) {
            *bias += error;
            for (feature, value) in self.rows.row(row) {
                gradient[feature] += error * value;
            }
            return;
        }
        biases
            .iter_mut()
            .zip(errors)
            .for_each(|(bias, error)| *bias += error);
        for (feature, value) in self.rows.row(row) {
            let from = feature * errors.len();
            for (slope, error) in gradient[from..].iter_mut().zip(errors) {
                *slope += error * value;
            }
        }
    }
}

/// From a sum of weights to a probability.
#[inline]
pub(crate) fn sigmoid(margin: f64) -> f64 {
    let small = (-margin.abs()).exp();
    if margin >= 0.0 {
        1.0 / (1.0 + small)
    } else {
        small / (1.0 + small)
    }
}

/// The logarithm of the sum of the exponentials, without overflow.
pub(crate) fn log_sum_exp(values: &[f64]) -> f64 {
    let highest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    highest
        + values
            .iter()
            .map(|value| (value - highest).exp())
            .sum::<f64>()
            .ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        Rows {
            starts: vec![0, 2, 3, 5],
            features: vec![0, 1, 1, 0, 2],
            values: vec![1.0, 0.5, 1.0, 2.0, 1.0],
            targets: vec![1.0, 0.0, 2.0],
            weights: vec![1.0, 2.0, 0.5],
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        for (learner, outputs) in [
            (Learner::Linear, 1),
            (Learner::Logistic, 1),
            (Learner::Multinomial, 3),
        ] {
            let mut rows = rows();
            if learner == Learner::Logistic {
                rows.targets[2] = 1.0;
            }
            let problem = Problem {
                rows: &rows,
                subset: &[0, 1, 2],
                learner,
                outputs,
                features: 3,
                l2: 0.1,
            };
            let weights: Vec<f64> = (0..problem.size()).map(|i| (i as f64).sin()).collect();
            let mut gradient = vec![0.0; problem.size()];
            problem.loss_and_gradient(&weights, &mut gradient);
            for at in 0..problem.size() {
                let loss = |step: f64| {
                    let mut moved = weights.clone();
                    moved[at] += step;
                    problem.loss_and_gradient(&moved, &mut vec![0.0; problem.size()])
                };
                let slope = (loss(1e-6) - loss(-1e-6)) / 2e-6;
                assert!((slope - gradient[at]).abs() < 1e-6, "{learner:?} {at}");
            }
        }
    }

    #[test]
    fn far_out_nothing_overflows() {
        assert_eq!(sigmoid(1e4), 1.0);
        assert_eq!(sigmoid(-1e4), 0.0);
        assert_eq!(log_sum_exp(&[1e4, 1e4]), 1e4 + 2f64.ln());
    }
}
