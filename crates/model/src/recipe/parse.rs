//! One text of a recipe into a tree of calls and names.

/// A name, a number, or a function with its arguments. Columns count characters from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Name {
        text: String,
        column: usize,
    },
    Call {
        function: String,
        arguments: Vec<Node>,
        column: usize,
    },
}

impl Node {
    pub(crate) fn column(&self) -> usize {
        match self {
            Node::Name { column, .. } | Node::Call { column, .. } => *column,
        }
    }
}

/// What is wrong, and at which column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) column: usize,
    pub(crate) detail: String,
    pub(crate) advice: String,
}

impl Fault {
    pub(crate) fn new(
        column: usize,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Fault {
        Fault {
            column,
            detail: detail.into(),
            advice: advice.into(),
        }
    }
}

/// Calls within calls, at most.
const DEPTH_LIMIT: usize = 32;
/// Length of one text, at most, in bytes.
const TEXT_LIMIT: usize = 64 * 1024;

/// Reads a text to its end.
pub(crate) fn parse(text: &str) -> Result<Node, Fault> {
    if text.len() > TEXT_LIMIT {
        let detail = format!("the text is {} bytes long", text.len());
        return Err(Fault::new(1, detail, "split it: a text may have 64 KiB"));
    }
    let mut parser = Parser {
        characters: text.chars().collect(),
        at: 0,
    };
    let node = parser.node(0)?;
    parser.skip_space();
    match parser.peek() {
        None => Ok(node),
        Some(c) => Err(parser.fault(
            format!("{c:?} follows a complete expression"),
            "put each expression into a text of its own, or quote a name with special characters",
        )),
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
}

impl Parser {
    fn node(&mut self, depth: usize) -> Result<Node, Fault> {
        if depth > DEPTH_LIMIT {
            return Err(self.fault(
                format!("calls are nested more than {DEPTH_LIMIT} deep"),
                "give the inner part a name under assignments",
            ));
        }
        self.skip_space();
        let column = self.at + 1;
        let (text, quoted) = self.name()?;
        self.skip_space();
        if quoted || self.peek() != Some('(') {
            return Ok(Node::Name { text, column });
        }
        self.at += 1;
        let arguments = self.arguments(depth)?;
        Ok(Node::Call {
            function: text,
            arguments,
            column,
        })
    }

    fn arguments(&mut self, depth: usize) -> Result<Vec<Node>, Fault> {
        let mut arguments = Vec::new();
        loop {
            arguments.push(self.node(depth + 1)?);
            self.skip_space();
            let next = self.peek();
            self.at += usize::from(next.is_some());
            match next {
                Some(',') => {}
                Some(')') => return Ok(arguments),
                Some(c) => {
                    self.at -= 1;
                    return Err(self.fault(format!("{c:?} where a comma was expected"), "add one"));
                }
                None => return Err(self.fault("a parenthesis is not closed", "add \")\"")),
            }
        }
    }

    fn name(&mut self) -> Result<(String, bool), Fault> {
        match self.peek() {
            Some(quote @ ('\'' | '"')) => Ok((self.quoted(quote)?, true)),
            _ => Ok((self.bare()?, false)),
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, Fault> {
        let start = self.at + 1;
        let length = self.characters.iter().skip(start).position(|c| *c == quote);
        let Some(length) = length else {
            return Err(self.fault("a quote is not closed", format!("add {quote}")));
        };
        self.at = start + length + 1;
        let text: String = self.characters.iter().skip(start).take(length).collect();
        Ok(text.trim().to_owned())
    }

    fn bare(&mut self) -> Result<String, Fault> {
        let rest = self.characters.iter().skip(self.at);
        let text: String = rest
            .take_while(|c| !matches!(c, ',' | '(' | ')' | '\'' | '"'))
            .collect();
        let name = text.trim_end().to_owned();
        if name.is_empty() {
            let found = self
                .peek()
                .map_or("the end".to_owned(), |c| format!("{c:?}"));
            return Err(self.fault(
                format!("{found} where a name was expected"),
                "write an attribute, a group or a function call",
            ));
        }
        self.at += text.chars().count();
        Ok(name)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn fault(&self, detail: impl Into<String>, advice: impl Into<String>) -> Fault {
        Fault::new(self.at + 1, detail, advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str, column: usize) -> Node {
        Node::Name {
            text: text.into(),
            column,
        }
    }

    #[test]
    fn calls_names_and_quotes() {
        let node = parse(" quantile_bin( hours-per-week ,10) ").unwrap();
        let arguments = vec![name("hours-per-week", 16), name("10", 32)];
        assert_eq!(
            node,
            Node::Call {
                function: "quantile_bin".into(),
                arguments,
                column: 2
            }
        );
        assert_eq!(
            parse("'my (odd), name'").unwrap(),
            name("my (odd), name", 1)
        );
        assert_eq!(parse("\"it's\"").unwrap(), name("it's", 1));
    }

    #[test]
    fn faults_have_a_column() {
        for (text, column) in [
            ("f(a", 4),
            ("f(,a)", 3),
            ("", 1),
            ("a)", 2),
            ("f(a) b", 6),
            ("'a", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().column, column, "{text}");
        }
        assert!(
            parse(&"f(".repeat(1000))
                .unwrap_err()
                .detail
                .contains("nested")
        );
    }

    proptest! {
        #[test]
        fn it_never_panics(text in "\\PC{0,40}|[a-z(),'\" 0-9]{0,60}") {
            let _ = parse(&text);
        }
    }
}
