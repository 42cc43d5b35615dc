//! The report of an evaluation: one HTML page that needs nothing else. `page` puts it together,
//! `chart` draws curves as inline SVG, `escape` makes data harmless.

mod chart;
mod escape;
mod page;
