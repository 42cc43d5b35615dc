//! Text with `{{ }}` in it, bare expressions, and the trees of options made of them.
//!
//! Jinja (minijinja) is the only expression language. A plain path such as `event.amount` is read
//! directly, without the interpreter.

mod context;
mod expr;
mod markup;
mod node;
mod text;

pub use context::{Context, Scope};
pub use expr::{Expr, Path, RenderError, SyntaxError};
pub use markup::Markup;
pub use node::{Node, SECRET};
pub use text::{Part, Template};
