//! The page: figures, curves, confusion, weights, and what the model was made of.

use super::chart::Chart;
use super::escape::Escaped;
use crate::evaluate::Evaluation;
use crate::model::Model;
use crate::train::Learner;

/// Weights shown.
const WEIGHTS: usize = 25;
/// Labels of a confusion matrix that are shown.
const LABELS: usize = 25;
/// Single rows drawn in a chart of numbers.
const DOTS: usize = 1500;
const HISTOGRAM: usize = 20;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5c6675;--line:#d9dee6;--back:#fff;--mark:#2563eb}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#9aa4b4;--line:#333b48;--back:#12161d;--mark:#7aa7ff}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:66rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}p.soft,figcaption{color:var(--soft)}\
.figures{display:flex;flex-wrap:wrap;gap:.5rem 2.5rem}.figures b{display:block;font-size:1.4rem}\
.charts{display:flex;flex-wrap:wrap;gap:1rem}figure{margin:0;width:20rem;max-width:100%}\
svg{width:100%}svg text{font-size:11px;fill:var(--soft)}.grid{stroke:var(--line);fill:none}\
.guide{stroke:var(--soft);stroke-dasharray:4 4;fill:none}.line{stroke:var(--mark);stroke-width:2;fill:none}\
.dot,.bar{fill:var(--mark)}table{border-collapse:collapse}\
td,th{border-bottom:1px solid var(--line);padding:.2rem .7rem;text-align:left}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
td.hit{font-weight:600}pre{overflow:auto;border:1px solid var(--line);padding:.7rem}.wide{overflow-x:auto}";

impl Evaluation {
    /// A page about the model and this evaluation. It needs no script and nothing from elsewhere.
    pub fn html(&self, model: &Model) -> String {
        let name = Escaped(model.name()).to_string();
        let parts = [
            self.figures(model),
            self.charts(),
            self.matrix(),
            self.influences(),
            weights(model),
            making(model),
        ];
        format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>Evaluation of {name}</title><style>{STYLE}</style></head>\
             <body><h1>Evaluation of {name}</h1>{}</body></html>\n",
            parts.concat()
        )
    }

    fn figures(&self, model: &Model) -> String {
        let metrics = &self.metrics;
        let figures = [
            ("AUC", metrics.auc),
            ("accuracy", metrics.accuracy),
            ("log-loss", metrics.log_loss),
            ("macro F1", metrics.macro_f1),
            ("root mean squared error", metrics.rmse),
            ("mean absolute error", metrics.mae),
            ("variance explained (R²)", metrics.r2),
        ];
        let shown: String = figures
            .iter()
            .filter_map(|(name, value)| Some(format!("<div><b>{:.4}</b>{name}</div>", (*value)?)))
            .collect();
        let trained = model.trained();
        format!(
            "<p class=\"soft\">{} rows evaluated, {} skipped (no known target, or no value for the \
             model), {} values that training never met. Learned from {} rows.</p>\
             <div class=\"figures\">{shown}</div>",
            metrics.rows, metrics.skipped, self.unknown_values, trained.rows
        )
    }

    fn charts(&self) -> String {
        let charts: String = match self.learner {
            Learner::Linear => self.against_truth(),
            Learner::Logistic => [
                self.roc_chart(),
                self.recall_chart(),
                self.calibration_chart(),
                self.histogram(),
            ]
            .concat(),
            Learner::Multinomial => [self.calibration_chart(), self.histogram()].concat(),
        };
        format!("<h2>Curves</h2><div class=\"charts\">{charts}</div>")
    }

    fn roc_chart(&self) -> String {
        let chart = Chart::new(
            "Receiver operating characteristic",
            "false positives",
            "true positives",
        )
        .guide((0.0, 0.0), (1.0, 1.0))
        .line(self.roc.iter().map(|point| (point.x, point.y)));
        figure(
            chart,
            "ROC: how many of the others are let in to find so many of the positives.",
        )
    }

    fn recall_chart(&self) -> String {
        let chart = Chart::new("Precision and recall", "recall", "precision")
            .line(self.precision_recall.iter().map(|point| (point.x, point.y)));
        figure(
            chart,
            "Precision and recall: how pure the found ones are when so many are found.",
        )
    }

    fn calibration_chart(&self) -> String {
        let points = || {
            self.calibration
                .iter()
                .map(|bin| (bin.mean_score, bin.came_true))
        };
        let words = |bin: &crate::CalibrationBin| {
            format!(
                "{} rows: said {:.3}, came true {:.3}",
                bin.rows, bin.mean_score, bin.came_true
            )
        };
        let dots = self
            .calibration
            .iter()
            .map(|b| (b.mean_score, b.came_true, words(b)));
        let chart = Chart::new("Calibration", "probability given", "part that came true")
            .guide((0.0, 0.0), (1.0, 1.0))
            .line(points())
            .dots(4.0, dots);
        figure(
            chart,
            "Calibration: on the dashed line a probability means what it says.",
        )
    }

    fn histogram(&self) -> String {
        let mut counts = [0usize; HISTOGRAM];
        for row in &self.scores {
            counts[((row.score * HISTOGRAM as f64) as usize).min(HISTOGRAM - 1)] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let place = |at: usize| at as f64 / HISTOGRAM as f64;
        let bars = counts.iter().enumerate().map(|(at, count)| {
            let words = format!("{count} rows from {:.2} to {:.2}", place(at), place(at + 1));
            (place(at), place(at + 1), *count as f64 / most, words)
        });
        let chart = Chart::new("Scores", "score", "rows, against the fullest bar").bars(bars);
        figure(chart, "Scores: how sure the model is.")
    }

    /// Predicted against true numbers, both as a part of their common range.
    fn against_truth(&self) -> String {
        let step = self.scores.len().div_ceil(DOTS).max(1);
        let pairs: Vec<(f64, f64)> = self.scores.iter().step_by(step).filter_map(pair).collect();
        let all = || pairs.iter().flat_map(|pair| [pair.0, pair.1]);
        let (low, high) = (
            all().fold(f64::INFINITY, f64::min),
            all().fold(f64::NEG_INFINITY, f64::max),
        );
        let part = |number: f64| {
            if high > low {
                (number - low) / (high - low)
            } else {
                0.5
            }
        };
        let dots = pairs
            .iter()
            .map(|(t, s)| (part(*t), part(*s), format!("true {t}, predicted {s:.4}")));
        let chart = Chart::new("Predicted against true", "true", "predicted")
            .guide((0.0, 0.0), (1.0, 1.0))
            .dots(2.0, dots);
        let words = format!("Predicted against true, both from {low} (0) to {high} (1).");
        figure(chart, &words)
    }

    fn influences(&self) -> String {
        let most = self
            .influence
            .first()
            .map_or(1.0, |first| first.spread.max(1e-12));
        let row = |influence: &crate::Influence| {
            format!(
                "<tr><td>{}</td><td class=\"n\">{:.4}</td><td><meter value=\"{:.3}\"></meter></td></tr>",
                Escaped(&influence.feature),
                influence.spread,
                influence.spread / most
            )
        };
        let rows: String = self.influence.iter().take(WEIGHTS).map(row).collect();
        format!(
            "<h2>What moves the score</h2><p class=\"soft\">How much what each feature adds to the \
             score varies over these rows (standard deviation, before it becomes a probability).</p>\
             <table>{rows}</table>"
        )
    }

    fn matrix(&self) -> String {
        if self.confusion.is_empty() {
            return String::new();
        }
        let shown = &self.labels[..self.labels.len().min(LABELS)];
        let head: String = shown
            .iter()
            .map(|label| format!("<th class=\"n\">{}</th>", Escaped(label)))
            .collect();
        let row = |(at, label): (usize, &String)| {
            let cells = self.confusion[at].iter().take(LABELS).enumerate();
            let cells = cells.map(|(to, count)| {
                format!(
                    "<td class=\"n{}\">{count}</td>",
                    if to == at { " hit" } else { "" }
                )
            });
            format!(
                "<tr><th>{}</th>{}</tr>",
                Escaped(label),
                cells.collect::<String>()
            )
        };
        let rows: String = shown.iter().enumerate().map(row).collect();
        let more = match self.labels.len().saturating_sub(LABELS) {
            0 => String::new(),
            more => format!("<p class=\"soft\">{more} more labels are in the JSON.</p>"),
        };
        format!(
            "<h2>Confusion</h2><p class=\"soft\">Rows by true label (down) and predicted label \
             (across).</p><div class=\"wide\"><table><tr><th></th>{head}</tr>{rows}</table></div>{more}"
        )
    }
}

fn pair(row: &crate::ScoredRow) -> Option<(f64, f64)> {
    Some((crate::text::number(&row.truth)?, row.score))
}

fn figure(chart: Chart, words: &str) -> String {
    format!(
        "<figure>{}<figcaption>{}</figcaption></figure>",
        chart.finish(),
        Escaped(words)
    )
}

fn weights(model: &Model) -> String {
    let row = |weight: crate::Weight| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"n\">{:+.4}</td></tr>",
            Escaped(&weight.attribute),
            Escaped(&weight.value),
            Escaped(&weight.label),
            weight.weight
        )
    };
    let rows: String = model.strongest(WEIGHTS).into_iter().map(row).collect();
    format!(
        "<h2>Strongest weights</h2><p class=\"soft\">{} features in all. A positive weight speaks for \
         the label, a negative one against it; a rare value may have a large one.</p><div class=\"wide\"><table><tr><th>attribute</th>\
         <th>value</th><th>label</th><th class=\"n\">weight</th></tr>{rows}</table></div>",
        model.features()
    )
}

fn making(model: &Model) -> String {
    let trained = model.trained();
    format!(
        "<h2>How it was made</h2><p>{} passes, l1 {}, l2 {}, seed {}, loss on the training rows \
         {:.5}.</p><h2>Recipe</h2><pre>{}</pre><h2>Schema</h2><pre>{}</pre>",
        trained.passes,
        trained.l1,
        trained.l2,
        trained.seed,
        trained.loss,
        Escaped(&model.recipe().to_json()),
        Escaped(&model.schema().to_json())
    )
}
