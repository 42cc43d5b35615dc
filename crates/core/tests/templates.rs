//! What expressions and templates give, and the words where they give nothing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use oncely_core::limits::RENDERED_BYTES;
use oncely_core::template::{Context, Expr, Markup, Node, Scope, Template};
use oncely_core::time::Timestamp;
use serde_json::{Map, Value, json};

/// What stands below the roots, for the tests of this file.
struct World {
    event: Value,
    run: Value,
    steps: Map<String, Value>,
    block: Map<String, Value>,
}

fn world() -> World {
    let table = |value: Value| value.as_object().unwrap().clone();
    World {
        event: json!({
            "name": "Ann", "list": ["a", { "b": 2 }], "none": null, "yes": true, "n": 1.5,
            "html": "<b title=\"it's\">&", "deep": { "er": 3 },
        }),
        run: json!({ "id": 7 }),
        steps: table(json!({ "first": { "code": 0 } })),
        block: table(json!({ "inner": { "code": 1 } })),
    }
}

impl World {
    fn context(&self) -> Context<'_> {
        Context::new(Scope {
            event: &self.event,
            steps: &self.steps,
            run: &self.run,
            at: Timestamp(1_790_000_000_123),
        })
    }
}

/// What an expression gives in a context, or the words for why it gives nothing.
fn given(expr: &str, context: &Context<'_>) -> Result<Value, String> {
    let expr = Expr::parse(expr).unwrap();
    expr.value(context).map_err(|error| error.to_string())
}

/// The same however it is written: as a path, and as a part of something bigger.
fn both(path: &str, context: &Context<'_>) -> Value {
    let plain = given(path, context).unwrap();
    let bigger = given(&format!("[{path}][0]"), context).unwrap();
    assert_eq!(plain, bigger, "{path}");
    plain
}

#[test]
fn every_root_is_read_as_a_path_and_in_a_bigger_expression() {
    let world = world();
    let context = world.context();
    for (path, value) in [
        ("event.name", json!("Ann")),
        ("event.list", json!(["a", { "b": 2 }])),
        ("event.deep.er", json!(3)),
        ("event.none", json!(null)),
        ("run.id", json!(7)),
        ("steps.first.code", json!(0)),
        ("steps", json!({ "first": { "code": 0 } })),
        ("now", json!(1_790_000_000_123_i64)),
    ] {
        assert_eq!(both(path, &context), value, "{path}");
    }
    assert_eq!(given("event.list.1.b", &context), Ok(json!(2)));
    assert_eq!(given("event.list[1].b", &context), Ok(json!(2)));
    let fields = ["list", "1", "b"].map(str::to_owned);
    assert_eq!(context.get("event", &fields), Some(json!(2)));
    let (output, check) = (json!({ "code": 4 }), json!({ "paid": false }));
    let until = context.with_output(&output);
    assert_eq!(both("output.code", &until), json!(4));
    let round = context.with_round(3, Some(&check));
    assert_eq!(both("round", &round), json!(3));
    assert_eq!(both("check.paid", &round), json!(false));
    assert_eq!(both("event.name", &round), json!("Ann"));
}

#[test]
fn a_block_reads_its_item_and_its_own_steps() {
    let world = world();
    let item = json!({ "id": 9 });
    let context = world.context().with_item(&item, 5, &world.block);
    for (path, value) in [
        ("item.id", json!(9)),
        ("item", json!({ "id": 9 })),
        ("loop.index", json!(5)),
        ("loop.index0", json!(4)),
        ("steps", json!({ "inner": { "code": 1 } })),
        ("event.name", json!("Ann")),
        ("run.id", json!(7)),
    ] {
        assert_eq!(both(path, &context), value, "{path}");
    }
}

#[test]
fn what_is_not_there_is_told_and_holds_nowhere() {
    let world = world();
    let context = world.context();
    for path in [
        "event.nmae",
        "event.name.first",
        "event.list.b",
        "steps.second.code",
        "output.code",
        "item",
        "loop.index",
        "round",
        "check.paid",
        "run.idd",
        "now.year",
    ] {
        let told = format!("cannot evaluate `{path}`: there is no `{path}` here");
        assert_eq!(given(path, &context), Err(told));
    }
    let round = context.with_round(1, None);
    assert!(given("round.first", &round).is_err());
    assert!(given("check", &round).is_err());
    assert_eq!(
        given("event['nmae']", &context).unwrap_err(),
        "cannot evaluate `event['nmae']`: it has no value"
    );
    let holds = |expr: &str| Expr::parse(expr).unwrap().holds(&context).unwrap();
    assert!(!holds("event.nmae") && !holds("event.none"));
    let error = Expr::parse("output.code == 0")
        .unwrap()
        .holds(&context)
        .unwrap_err();
    assert_eq!(error.message, "`output` is undefined");
    assert!(holds("event.yes") && holds("event.nmae is undefined") && holds("now > 1"));
}

fn text(template: &str, context: &Context<'_>) -> Result<String, String> {
    let template = Template::parse(template).unwrap();
    template.text(context).map_err(|error| error.to_string())
}

#[test]
fn text_is_made_of_what_is_text_and_keeps_its_last_line_break() {
    let world = world();
    let context = world.context();
    let all = "{{ event.name }}, {{ event.n }}, {{ event.yes }}, {{ event.none }}.\n";
    assert_eq!(text(all, &context).unwrap(), "Ann, 1.5, true, .\n");
    let blocks = "{% for x in event.list %}{{ loop.index }}{% endfor %} {{ event.html }}\n";
    assert_eq!(
        text(blocks, &context).unwrap(),
        "12 <b title=\"it's\">&\n",
        "plain text is not escaped"
    );
    for (path, what) in [("event.list", "a list"), ("event.deep", "a table")] {
        let template = format!("a {{{{ {path} }}}}");
        let told = format!("cannot evaluate `{template}`: `{path}` is {what}, not text");
        assert_eq!(text(&template, &context), Err(told));
    }
}

#[test]
fn a_text_that_gives_too_much_or_takes_too_long_is_stopped() {
    let most = json!({ "a": "x".repeat(RENDERED_BYTES) });
    let world = World {
        event: most,
        ..world()
    };
    let context = world.context();
    let whole = text("{{ event.a }}{# a remark #}", &context).unwrap();
    assert_eq!(whole.len(), RENDERED_BYTES);
    let told = text("{{ event.a }}.", &context).unwrap_err();
    assert_eq!(
        told,
        "cannot evaluate `{{ event.a }}.`: it gives more than 1048576 bytes"
    );
    let long = "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}";
    let told = text(long, &context).unwrap_err();
    assert!(
        told.ends_with(": it takes too long; make it simpler"),
        "{told}"
    );
}

#[test]
fn data_in_a_markup_stays_data() {
    let world = world();
    let context = world.context();
    let given = |source: &str, markup: Markup| {
        let template = Template::parse_markup(source, markup).unwrap();
        template.text(&context).unwrap()
    };
    let source = "<i title=\"{{ event.html }}\">{{ event.n }}</i>";
    assert_eq!(
        given(source, Markup::Html),
        "<i title=\"&lt;b title=&quot;it&#x27;s&quot;&gt;&amp;\">1.5</i>",
        "a quote would end an attribute"
    );
    assert_eq!(
        given(source, Markup::Slack),
        "<i title=\"&lt;b title=\"it's\"&gt;&amp;\">1.5</i>"
    );
    let safe = "{{ event.html | safe }}";
    assert_eq!(given(safe, Markup::Slack), "<b title=\"it's\">&");
    assert_eq!(given(safe, Markup::Html), "<b title=\"it's\">&");
}

#[test]
fn a_secret_is_named_and_never_rendered() {
    let world = world();
    let context = world.context();
    let template = Template::parse("Bearer {{ secret.TOKEN }} {{ event.n }}").unwrap();
    assert_eq!(template.secrets().collect::<Vec<_>>(), ["TOKEN"]);
    let told = template.text(&context).unwrap_err().to_string();
    assert!(told.ends_with(": secret.TOKEN cannot stand here"), "{told}");
    assert_eq!(
        Node::Text(template).render(&context).unwrap(),
        json!({ "$secret": ["Bearer ", { "name": "TOKEN" }, " ", "1.5"] })
    );
    for source in [
        "a {{ secret.KEY | upper }}",
        "a {{ secret }}",
        "a {{ secret.A.B }}",
        "{% if secret.KEY %}a{% endif %}",
    ] {
        let error = Template::parse(source).unwrap_err();
        assert!(
            error.message.starts_with("a secret stands alone"),
            "{source}"
        );
        assert_eq!(&source[error.range.unwrap()], "secret", "{source}");
    }
    let secretary = Template::parse("{{ secretary.name | upper }}").unwrap();
    assert_eq!(secretary.secrets().count(), 0);
}

#[test]
fn a_value_that_is_one_expression_keeps_its_type() {
    let world = world();
    let context = world.context();
    let any = |source: &str| Node::Any(Template::parse(source).unwrap());
    let node = Node::Table(vec![
        ("whole".into(), any("{{ event.list }}")),
        ("part".into(), any("n: {{ event.n }}")),
        ("plain".into(), any("plain")),
        (
            "text".into(),
            Node::Text(Template::parse("{{ event.n }}").unwrap()),
        ),
        (
            "bare".into(),
            Node::Bare(Expr::parse("event.n > 1").unwrap()),
        ),
        (
            "list".into(),
            Node::List(vec![any("{{ now }}"), Node::Fixed(json!(2))]),
        ),
    ]);
    assert_eq!(
        node.render(&context).unwrap(),
        json!({
            "whole": ["a", { "b": 2 }], "part": "n: 1.5", "plain": "plain", "text": "1.5",
            "bare": "event.n > 1", "list": [1_790_000_000_123_i64, 2],
        })
    );
    assert_eq!(node.fixed(), json!({ "plain": "plain" }));
    assert_eq!(
        node.outline(),
        json!({
            "whole": "", "part": "", "plain": "plain", "text": "", "bare": "event.n > 1",
            "list": ["", 2],
        })
    );
    assert_eq!(node.fixed_text("plain"), Some("plain"));
    assert_eq!(
        (node.fixed_text("text"), node.fixed_text("bare")),
        (None, None)
    );
    assert_eq!(node.expr("bare").unwrap().source(), "event.n > 1");
    assert!(node.expr("text").is_none());
    let names: Vec<_> = node.names().into_iter().collect();
    assert_eq!(names, ["event.list", "event.n", "now"]);
}

#[test]
fn an_expression_is_known_by_its_text() {
    let parse = |source: &str| Expr::parse(source).unwrap();
    assert_eq!(parse("event.a"), parse("event.a"));
    assert_ne!(parse("event.a"), parse("event.b"));
    assert_eq!(format!("{:?}", parse("event.a")), "Expr(\"event.a\")");
    let path = parse("steps.first.json.id");
    assert_eq!(path.path().unwrap().dotted(), "steps.first.json.id");
    assert!(parse("event.a + 1").path().is_none());
    let single = |source: &str| {
        let template = Template::parse(source).unwrap();
        template.single().map(|expr| expr.source().to_owned())
    };
    assert_eq!(single("{{ event.a }}").as_deref(), Some("event.a"));
    assert_eq!(single(" {{ event.a }}"), None);
    assert_eq!(single("{{ event.a }}{{ event.b }}"), None);
    let error = Expr::parse("event.a +").unwrap_err();
    assert_eq!(error.range.unwrap(), 8..9);
}
