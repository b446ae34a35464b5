use super::*;

fn check_depths(text: &str, expected: &[usize]) {
    let found: Vec<usize> = depths(text).into_iter().map(|(_, depth)| depth).collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn depths_are_counted_as_they_nest() {
    let when = |condition: &str| format!("permit(principal, action, resource) when {{ {condition} }};");
    let rows = [
        ("true".to_owned(), 2),
        ("a".to_owned() + &" || a".repeat(50), 52),
        ("a".to_owned() + &" && a".repeat(50), 52),
        ("1".to_owned() + &" + 1".repeat(50) + " == 2", 52),
        ("(".repeat(50) + "a" + &")".repeat(50), 52),
        // A bracket may be that of an attribute (`a["b"]`), so it counts for that, too.
        ("[".repeat(50) + "1" + &"]".repeat(50), 2 + 2 * 50),
        ("(a || ".repeat(50) + "a" + &")".repeat(50), 102),
        ("a".to_owned() + &".b".repeat(50), 52),
        ("if a then b else ".repeat(50) + "c", 52),
        // Side by side is not one in the other.
        ("[".to_owned() + &"(1), ".repeat(500) + "(1)]", 5),
        ("f(a.b, a.b)".to_owned(), 4),
        // What is in texts and comments does not count.
        ("\"((((\\\"((((\" == a // ((((((\n".to_owned(), 2),
    ];
    for (condition, expected) in rows {
        check_depths(&when(&condition), &[expected]);
    }
    check_depths("", &[]);
    check_depths(
        "permit(principal, action, resource); \n forbid(a, b, c);",
        &[1, 1],
    );
    check_depths(
        &("permit(a, b, c)".to_owned() + &" when { a }".repeat(30) + ";"),
        &[31],
    );
    // What is no policy is measured all the same, without an end and with more than one.
    check_depths(&"(".repeat(1000), &[1000]);
    check_depths(&")".repeat(1000), &[0]);
}

#[test]
fn too_deep_policies_are_named_where_they_begin() {
    let text = format!(
        "permit(principal, action, resource);\nforbid(principal, action, resource) when {{ {}true{} }};",
        "(".repeat(300),
        ")".repeat(300)
    );
    let file = SourceFile {
        name: "deep.cedar".to_owned(),
        text,
    };
    let mut problems = Vec::new();
    assert!(super::check(&file, &mut problems));
    let told: Vec<String> = problems.iter().map(|problem| format!("{problem:?}")).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].contains("start: 37") && told[0].contains("302 levels deep"),
        "{told:?}"
    );
}
