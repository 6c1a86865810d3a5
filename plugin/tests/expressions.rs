//! JMESPath within its bounds: what expressions give, which aren't taken, and that nothing blows up.

use openid::claims::expression::{Expression, ExpressionError};
use serde_json::{Value, json};

fn claims() -> Value {
    json!({
        "email": "Ada@acme.example", "groups": ["g1", "g2"], "admin": false, "level": 3,
        "emails": [{ "value": "old@acme.example" }, { "value": "ada@acme.example", "primary": true }],
        "https://acme.example/roles": ["vpn"], "name": { "first": "Ada" }, "nothing": null,
    })
}

#[test]
fn what_they_give() {
    for (source, expected) in [
        ("email", json!("Ada@acme.example")),
        ("contains(groups, 'g1') && ends_with(email, '@acme.example')", json!(true)),
        ("contains(groups, 'g3') || level > `2`", json!(true)),
        ("contains(groups, 'g3')", json!(false)),
        ("!admin", json!(true)),
        ("emails[?primary].value | [0]", json!("ada@acme.example")),
        ("emails[*].value", json!(["old@acme.example", "ada@acme.example"])),
        ("\"https://acme.example/roles\"[0]", json!("vpn")),
        ("name.first", json!("Ada")),
        ("missing", json!(null)),
        ("missing.deeper[0]", json!(null)),
        ("not_null(missing, nothing, email)", json!("Ada@acme.example")),
        ("lower(email)", json!("ada@acme.example")),
        ("upper(name.first)", json!("ADA")),
        ("split(email, '@')[0]", json!("Ada")),
        ("split(email, '')", json!(["Ada@acme.example"])),
        ("join('.', split(lower(email), '@'))", json!("ada.acme.example")),
        ("length(groups)", json!(2)),
        ("contains(groups, 'g1') && 'vpn' || 'none'", json!("vpn")),
        ("groups[-1]", json!("g2")),
        ("groups[-5]", json!(null)),
        ("groups[::-1]", json!(["g2", "g1"])),
        ("level", json!(3)),
    ] {
        let expression = Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert_eq!(expression.evaluate(&claims()), Ok(expected), "{source}");
    }
}

#[test]
fn what_fails_when_it_is_evaluated() {
    for source in [
        "contains(level, 'g1')",
        "contains(missing, 'g1')",
        "ends_with(groups, 'x')",
        "lower(groups)",
        "split(email, `1`)",
        "sum(groups)",
        "groups[::0]",
        "sort_by(emails, &primary)",
        "map(&lower(value), groups)",
        "join(',', emails)",
    ] {
        let expression = Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let outcome = expression.evaluate(&claims());
        let Err(ExpressionError::Evaluation(reason)) = &outcome else { panic!("{source}: {outcome:?}") };
        assert!(!reason.contains("acme.example") && !reason.contains("g1"), "{source} tells a claim: {reason}");
    }
}

#[test]
fn what_is_not_compiled() {
    let long = |part: &str, count: usize| part.repeat(count);
    let table: Vec<(&str, String, &str)> = vec![
        ("nothing", String::new(), "isn't JMESPath"),
        ("half an expression", "contains(groups,".into(), "isn't JMESPath"),
        ("two expressions", "email email".into(), "isn't JMESPath"),
        ("another language", "email.endsWith('@acme.example')".into(), ""),
        ("one equals sign", "email = 'x'".into(), "isn't JMESPath"),
        ("an unknown function", "regex(email, '.*')".into(), "no function regex()"),
        ("an unknown function, deep", "groups[?starts(@, 'x')]".into(), "no function starts()"),
        ("too few arguments", "contains(groups)".into(), "takes 2 arguments, found 1"),
        ("too many arguments", "lower(email, email)".into(), "takes 1 arguments, found 2"),
        ("no arguments", "not_null()".into(), "takes 1 or more"),
        ("too long", long("a", 2049), "2049 bytes"),
        ("an endless negation", long("!", 200), "brackets and signs"),
        ("deep brackets", format!("{}a{}", long("(", 100), long(")", 100)), "brackets and signs"),
        ("deep lists", format!("{}a{}", long("[", 70), long("]", 70)), "brackets and signs"),
        ("deep projections", format!("a{}", long("[*]", 60)), "brackets and signs"),
        ("a deep chain", format!("a{}", long(".b", 100)), "levels"),
        ("doubling", format!("[@,@]{}", long("|[@,@]", 10)), "times its input"),
        ("doubling and flattening", format!("[@,@][]{}", long("|[@,@][]", 7)), "times its input"),
        ("doubling in objects", format!("{{a:@,b:@}}{}", long("|{a:@,b:@}", 9)), "times its input"),
        ("doubling by map", "map(&[@,@,@,@,@,@,@,@,@], map(&[@,@,@,@,@,@,@,@,@], groups))".into(), "times its input"),
        ("doubling that is only counted", format!("length(to_string([@,@]{}))", long("|[@,@]", 9)), "times its input"),
        ("doubling that is only compared", format!("[@,@]{} == `1`", long("|[@,@]", 9)), "times its input"),
        ("doubling that is only negated", format!("!([@,@]{})", long("|[@,@]", 9)), "times its input"),
        ("doubling in a condition", format!("groups[?contains([@,@]{}, 'x')]", long("|[@,@]", 9)), "times its input"),
        (
            "doubling to sort by",
            "sort_by(groups, &to_string([@,@,@,@,@,@,@,@,@] | [@,@,@,@]))".into(),
            "times its input",
        ),
        (
            "doubling through a reference",
            "map(not_null(&[@,@,@,@,@,@,@,@,@]), map(not_null(&[@,@,@,@,@,@,@,@,@]), groups))".into(),
            "times its input",
        ),
        ("escapes of escapes", format!("{}email{}", long("to_string([", 7), long("])", 7)), "times its input"),
        ("a long text for each element", format!("groups[*].'{}'", long("x", 1990)), ""),
        ("a reference to nothing", "&email".into(), "arguments of functions only"),
        ("a reference in a list", "[&email, sort_by(emails, &value)]".into(), "arguments of functions only"),
        ("an index at the end of the world", "groups[-2147483647]".into(), "as an index"),
        ("a slice at the end of the world", "groups[:2147483647:-2147483647]".into(), "as an index"),
        ("an index that has no opposite", "groups[-2147483648]".into(), ""),
        ("an index beyond it", "groups[99999999999]".into(), "isn't JMESPath"),
    ];
    for (name, source, wanted) in table {
        match Expression::compile(&source) {
            Ok(_) => panic!("{name}: {source} was compiled"),
            Err(error) => assert!(error.to_string().contains(wanted), "{name}: {error}"),
        }
    }
}

#[test]
fn the_growth_that_is_allowed_is_still_small() {
    // The worst that passes the bounds, over the largest input.
    let groups: Vec<String> = (0..11_000).map(|number| format!("{number:036}")).collect();
    let input = json!({ "groups": groups });
    for source in ["[@,@][]|[@,@][]|[@,@][]|[@,@][]|[@,@][]", "[groups,groups,groups,groups][]|[@,@,@,@][]|[@,@,@,@][]"]
    {
        let expression = Expression::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"));
        let result = expression.evaluate(&input).unwrap_or_else(|error| panic!("{source}: {error}"));
        assert!(result.to_string().len() < 64 * input.to_string().len(), "{source}");
    }
}

#[test]
fn inputs_that_are_too_large_or_too_deep() {
    let expression = Expression::compile("email").unwrap();
    let mut deep = json!("x");
    for _ in 0..33 {
        deep = json!([deep]);
    }
    for (name, input, good) in [
        ("33 levels", deep, false),
        ("2 MiB in one text", json!({ "email": "x".repeat(2 << 20) }), false),
        ("2 MiB in small parts", json!({ "x": vec![0; 300_000] }), false),
        ("2 MiB in names", json!({ "x".repeat(2 << 20): 1 }), false),
        ("11000 groups", json!({ "email": "a", "groups": vec!["0".repeat(36); 11_000] }), true),
    ] {
        assert_eq!(expression.evaluate(&input).is_ok(), good, "{name}");
    }
}

#[test]
fn whether_a_field_is_mentioned() {
    for (source, mentioned) in [
        ("contains(groups, 'x')", true),
        ("claims.groups", true),
        ("\"groups\"", true),
        ("x[?contains(groups, @)]", true),
        ("map(&groups, x)", true),
        ("{a: groups}", true),
        ("email == 'groups'", false),
        ("group", false),
        ("`{\"groups\": 1}`", false),
    ] {
        assert_eq!(Expression::compile(source).unwrap().mentions("groups"), mentioned, "{source}");
    }
}

/// Whether groups may change the value, named or not: where this says no, an expression is evaluated without them.
#[test]
fn whether_groups_are_seen() {
    for (source, seen) in [
        ("groups", true),
        ("group_names[0]", true),
        ("claims.groups", true),
        ("claims.\"groups\"", true),
        ("@", true),
        ("*", true),
        ("[*]", true),
        ("values(@)", true),
        ("keys(@)", true),
        ("to_string(@)", true),
        ("email && @", true),
        ("{all: @}.all.email", true),
        ("[@][0].email", true),
        ("@ | values(@)", true),
        ("not_null(@).email", true),
        ("@ == `{}`", true),
        ("!@", true),
        ("map(&@, [@])", true),
        ("claims", true),
        ("values(claims)", true),
        ("claims.*", true),
        ("claims | *", true),
        ("claims.[@]", true),
        ("claims.values(@)", true),
        ("@.claims.values(@)", true),
        ("claims == userinfo", true),
        ("directory.* | length(@) > `1`", true),
        ("email", false),
        ("@.email", false),
        ("email == 'groups'", false),
        ("claims.roles", false),
        ("claims.roles[?@ == 'vpn']", false),
        ("claims.roles[*].length(@)", false),
        ("claims.address.*", false),
        ("contains(claims.roles, 'vpn') || directory.department == 'R&D'", false),
        ("sort_by(claims.emails, &value)[0].value", false),
        ("map(&length(@), claims.roles)", false),
        ("length(email) > `3`", false),
    ] {
        assert_eq!(Expression::compile(source).unwrap().sees_groups(), seen, "{source}");
    }
}

#[test]
fn which_documents_are_seen() {
    for (source, directory, userinfo) in [
        ("email", false, false),
        ("directory.department", true, false),
        ("@.directory.department", true, false),
        ("userinfo.x || directory.y", true, true),
        ("values(@)", true, true),
        ("claims.directory", false, false),
        ("values(claims)", false, false),
        ("{d: directory}", true, false),
        ("email | directory", false, false),
    ] {
        let expression = Expression::compile(source).unwrap();
        assert_eq!((expression.sees("directory"), expression.sees("userinfo")), (directory, userinfo), "{source}");
    }
}

/// The deepest that the bounds let through, on a stack as small as the component's.
#[test]
fn the_deepest_expressions_fit_on_a_small_stack() {
    let work = || {
        let mut input = json!("x");
        for _ in 0..31 {
            input = json!([input]);
        }
        let nested = |open: &str, inner: &str, close: &str, count: usize| {
            format!("{}{inner}{}", open.repeat(count), close.repeat(count))
        };
        for source in [
            nested("!", "a", "", 60),
            nested("(", "a", ")", 60),
            nested("[", "@", "]", 60),
            nested("{a:", "@", "}", 60),
            nested("not_null(", "a", ")", 60),
            format!("a{}", "[*]".repeat(42)),
            format!("@{}", "[]".repeat(30)),
            format!("a{}", "|a".repeat(60)),
            format!("`{}`", nested("[", "1", "]", 63)),
        ] {
            let expression = Expression::compile(&source).unwrap_or_else(|error| panic!("{source}: {error}"));
            assert!(expression.evaluate(&input).is_ok(), "{source}");
        }
        for source in ["!", "(", "[", "{a:", "a[?", "not_null(", "*.", "`["] {
            assert!(Expression::compile(&source.repeat(2048 / source.len())).is_err(), "{source}");
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(work).unwrap().join().unwrap();
}
