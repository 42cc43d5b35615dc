//! Curves in a unit square, and bars, as inline SVG.

use std::fmt::Write;

use super::escape::Escaped;

/// Side of the plotted square and room for the axes, in user units.
const SIDE: f64 = 240.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 10.0;
const WIDTH: f64 = LEFT + SIDE + 14.0;
const HEIGHT: f64 = TOP + SIDE + 42.0;

/// A chart that is being drawn.
pub(crate) struct Chart {
    svg: String,
}

impl Chart {
    /// Axes from 0 to 1, named.
    pub(crate) fn new(title: &str, across: &str, up: &str) -> Chart {
        let mut chart = Chart {
            svg: format!(
                "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
                Escaped(title)
            ),
        };
        chart.grid();
        let (middle, bottom) = (LEFT + SIDE / 2.0, HEIGHT - 6.0);
        chart.add(format_args!(
            "<text x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{}</text>",
            Escaped(across)
        ));
        let middle = TOP + SIDE / 2.0;
        chart.add(format_args!(
            "<text transform=\"translate(12 {middle}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            Escaped(up)
        ));
        chart
    }

    fn grid(&mut self) {
        for fifth in 0..=5 {
            let part = f64::from(fifth) / 5.0;
            let (x, y) = (across(part), up(part));
            let (right, bottom) = (across(1.0), up(0.0));
            self.add(format_args!(
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom:.1}M{LEFT} {y:.1}H{right:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{part}</text>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{part}</text>",
                bottom + 15.0,
                LEFT - 5.0,
                y + 4.0
            ));
        }
    }

    /// A dashed straight line.
    pub(crate) fn guide(mut self, from: (f64, f64), to: (f64, f64)) -> Chart {
        self.add(format_args!(
            "<path class=\"guide\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>",
            across(from.0),
            up(from.1),
            across(to.0),
            up(to.1)
        ));
        self
    }

    /// A line through the points.
    pub(crate) fn line(mut self, points: impl Iterator<Item = (f64, f64)>) -> Chart {
        let mut path = String::new();
        for (x, y) in points {
            let pen = if path.is_empty() { 'M' } else { 'L' };
            // Writing to a text cannot fail.
            let _ = write!(path, "{pen}{:.1} {:.1}", across(x), up(y));
        }
        if !path.is_empty() {
            self.add(format_args!("<path class=\"line\" d=\"{path}\"/>"));
        }
        self
    }

    /// A dot at each point, with words that show when it is pointed at.
    pub(crate) fn dots(
        mut self,
        radius: f64,
        points: impl Iterator<Item = (f64, f64, String)>,
    ) -> Chart {
        for (x, y, words) in points {
            self.add(format_args!(
                "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius}\">\
                 <title>{}</title></circle>",
                across(x),
                up(y),
                Escaped(&words)
            ));
        }
        self
    }

    /// A bar between two places, with words that show when it is pointed at.
    pub(crate) fn bars(mut self, bars: impl Iterator<Item = (f64, f64, f64, String)>) -> Chart {
        for (from, to, height, words) in bars {
            self.add(format_args!(
                "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
                 <title>{}</title></rect>",
                across(from) + 1.0,
                up(height),
                across(to) - across(from) - 2.0,
                up(0.0) - up(height),
                Escaped(&words)
            ));
        }
        self
    }

    pub(crate) fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }

    fn add(&mut self, part: std::fmt::Arguments<'_>) {
        // Writing to a text cannot fail.
        let _ = self.svg.write_fmt(part);
    }
}

fn across(x: f64) -> f64 {
    LEFT + x.clamp(0.0, 1.0) * SIDE
}

fn up(y: f64) -> f64 {
    TOP + (1.0 - y.clamp(0.0, 1.0)) * SIDE
}
