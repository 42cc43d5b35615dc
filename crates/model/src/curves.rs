//! Curves and bins from scores and whether each was of a positive row.

use serde::Serialize;

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Point {
    /// Across, 0 to 1.
    pub x: f64,
    /// Up, 0 to 1.
    pub y: f64,
    /// The score from which on rows count as positive here; absent where none does.
    pub score: Option<f64>,
}

/// Rows with a score in one tenth of the range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CalibrationBin {
    /// Lowest score of the bin.
    pub from: f64,
    /// Highest score of the bin.
    pub to: f64,
    /// Rows in it.
    pub rows: u64,
    /// Their mean score.
    pub mean_score: f64,
    /// Part of them that came true.
    pub came_true: f64,
}

/// Points of a curve, at most.
const POINTS: usize = 400;
const BINS: usize = 10;

/// The area under the receiver operating characteristic: the chance that a positive row scores above
/// a negative one, ties counting half. Not a number when all rows are of one kind.
pub fn auc(scores_and_truth: &[(f64, bool)]) -> f64 {
    let mut rows = scores_and_truth.to_vec();
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let positive = rows.iter().filter(|row| row.1).count() as f64;
    let negative = rows.len() as f64 - positive;
    let (mut below, mut won) = (0.0, 0.0);
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        let up = tied.iter().filter(|row| row.1).count() as f64;
        let down = tied.len() as f64 - up;
        won += up * (below + down / 2.0);
        below += down;
    }
    if positive > 0.0 && negative > 0.0 {
        won / (positive * negative)
    } else {
        f64::NAN
    }
}

/// Positives and negatives at or above each score, from the highest score down.
fn steps(rows: &[(f64, bool)]) -> Vec<(f64, f64, f64)> {
    let mut rows = rows.to_vec();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut up, mut down) = (0.0, 0.0);
    let mut steps = Vec::new();
    for tied in rows.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|row| row.1).count();
        up += positive as f64;
        down += (tied.len() - positive) as f64;
        steps.push((tied[0].0, up, down));
    }
    steps
}

pub(crate) fn roc(rows: &[(f64, bool)]) -> Vec<Point> {
    let steps = steps(rows);
    let Some((_, up, down)) = steps.last().copied().filter(|s| s.1 > 0.0 && s.2 > 0.0) else {
        return Vec::new();
    };
    let start = Point {
        x: 0.0,
        y: 0.0,
        score: None,
    };
    let rest = steps.iter().map(|s| Point {
        x: s.2 / down,
        y: s.1 / up,
        score: Some(s.0),
    });
    thinned(std::iter::once(start).chain(rest).collect())
}

pub(crate) fn precision_recall(rows: &[(f64, bool)]) -> Vec<Point> {
    let steps = steps(rows);
    let Some((_, up, _)) = steps.last().copied().filter(|s| s.1 > 0.0) else {
        return Vec::new();
    };
    let point = |s: &(f64, f64, f64)| Point {
        x: s.1 / up,
        y: s.1 / (s.1 + s.2),
        score: Some(s.0),
    };
    thinned(steps.iter().map(point).collect())
}

/// At most [`POINTS`] points, first and last among them.
fn thinned(points: Vec<Point>) -> Vec<Point> {
    if points.len() <= POINTS {
        return points;
    }
    let last = points.len() - 1;
    (0..POINTS)
        .map(|at| points[at * last / (POINTS - 1)])
        .collect()
}

pub(crate) fn calibration(rows: &[(f64, bool)]) -> Vec<CalibrationBin> {
    let mut sums = [(0u64, 0.0, 0u64); BINS];
    for (score, came_true) in rows {
        let bin = &mut sums[((score * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += 1;
        bin.1 += score;
        bin.2 += u64::from(*came_true);
    }
    let edge = |at: usize| at as f64 / BINS as f64;
    let filled = sums.iter().enumerate().filter(|(_, (rows, ..))| *rows > 0);
    filled
        .map(|(at, (rows, score, came_true))| CalibrationBin {
            from: edge(at),
            to: edge(at + 1),
            rows: *rows,
            mean_score: score / *rows as f64,
            came_true: *came_true as f64 / *rows as f64,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition: every positive against every negative.
    fn slow_auc(rows: &[(f64, bool)]) -> f64 {
        let (mut won, mut pairs) = (0.0, 0.0);
        for up in rows.iter().filter(|row| row.1) {
            for down in rows.iter().filter(|row| !row.1) {
                pairs += 1.0;
                won += if up.0 > down.0 {
                    1.0
                } else if up.0 == down.0 {
                    0.5
                } else {
                    0.0
                };
            }
        }
        won / pairs
    }

    proptest! {
        #[test]
        fn auc_is_its_definition(rows in proptest::collection::vec((0u8..20, any::<bool>()), 0..80)) {
            let rows: Vec<(f64, bool)> = rows.into_iter().map(|(s, t)| (f64::from(s) / 20.0, t)).collect();
            let (fast, slow) = (auc(&rows), slow_auc(&rows));
            prop_assert!(fast.is_nan() && slow.is_nan() || (fast - slow).abs() < 1e-12);
            let area: f64 = roc(&rows).windows(2).map(|p| (p[1].x - p[0].x) * (p[0].y + p[1].y) / 2.0).sum();
            prop_assert!(fast.is_nan() || (area - fast).abs() < 1e-12);
        }

        #[test]
        fn calibration_loses_no_row(rows in proptest::collection::vec((0f64..=1.0, any::<bool>()), 0..80)) {
            let bins = calibration(&rows);
            prop_assert_eq!(bins.iter().map(|b| b.rows).sum::<u64>(), rows.len() as u64);
            prop_assert!(bins.iter().all(|b| b.from <= b.mean_score + 1e-9 && b.mean_score <= b.to + 1e-9));
        }
    }

    #[test]
    fn long_curves_are_thinned_and_keep_their_ends() {
        let rows: Vec<(f64, bool)> = (0..5000).map(|i| (f64::from(i), i % 3 == 0)).collect();
        let curve = roc(&rows);
        assert_eq!(curve.len(), POINTS);
        assert_eq!((curve[0].x, curve[0].y), (0.0, 0.0));
        assert_eq!((curve[POINTS - 1].x, curve[POINTS - 1].y), (1.0, 1.0));
    }
}
