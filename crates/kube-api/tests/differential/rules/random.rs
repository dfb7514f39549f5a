//! Random expressions over the schema of rules, most of them of the type that is asked for.

use drover_testkit::chance::Chance;

/// What an expression is to give.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Give {
    Bool,
    Int,
    Double,
    Text,
    Time,
    Span,
    Ints,
    Texts,
    Object,
    Any,
}

const ALL: [Give; 10] = [
    Give::Bool,
    Give::Int,
    Give::Double,
    Give::Text,
    Give::Time,
    Give::Span,
    Give::Ints,
    Give::Texts,
    Give::Object,
    Give::Any,
];

/// A rule.
pub(super) fn rule(chance: &mut Chance) -> String {
    expression(Give::Bool, 4, chance)
}

/// In patterns `$b`, `$i` and so on stand for expressions that give a bool, an int and so on; `$?` for any.
fn expression(give: Give, depth: usize, chance: &mut Chance) -> String {
    // Now and then of another type than is asked for.
    let give = if chance.one_in(25) {
        chance.pick(&ALL)
    } else {
        give
    };
    let (leaves, patterns) = forms(give);
    let form = if depth == 0 || patterns.is_empty() || chance.one_in(4) {
        chance.pick(leaves)
    } else {
        chance.pick(patterns)
    };
    let mut out = String::new();
    let mut rest = form;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let inner = match after.as_bytes().first() {
            Some(b'b') => Give::Bool,
            Some(b'i') => Give::Int,
            Some(b'd') => Give::Double,
            Some(b't') => Give::Text,
            Some(b'm') => Give::Time,
            Some(b's') => Give::Span,
            Some(b'l') => Give::Ints,
            Some(b'w') => Give::Texts,
            Some(b'o') => Give::Object,
            _ => chance.pick(&ALL),
        };
        out.push_str(&expression(inner, depth.saturating_sub(1), chance));
        rest = after.get(1..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Forms without and with expressions inside.
const fn forms(give: Give) -> (&'static [&'static str], &'static [&'static str]) {
    match give {
        Give::Bool => (
            &[
                "true",
                "self.flag",
                "has(self.int)",
                "has(self.deep.er)",
                "oldSelf.flag",
            ],
            &[
                "($b && $b)",
                "($b || $b)",
                "!($b)",
                "($b ? $b : $b)",
                "$i == $i",
                "$i < $i",
                "$d >= $d",
                "$i < $d",
                "$t == $t",
                "$t < $t",
                "$m > $m",
                "$s <= $s",
                "$l == $l",
                "$w != $w",
                "$o == $o",
                "$? == $?",
                "$i in $l",
                "$t in $w",
                "$t in self.map",
                "$t.startsWith($t)",
                "$t.contains($t)",
                "$t.matches('^a+$')",
                "$l.all(x, $b)",
                "$w.exists(x, x == $t)",
                "$l.exists_one(x, x > $i)",
                "self.map.all(k, self.map[k] == $t)",
                "self.objects.all(o, o.a == $i && o.b == $t)",
                "self.endlessTexts.all(e, e == $t)",
                "self.endlessList.all(e, e == $i)",
                "$l.isSorted()",
                "sets.contains($l, $l)",
                "sets.intersects($w, $w)",
                "self.?flag.orValue($b)",
                "isURL($t)",
                "isIP($t)",
                "self.either == $?",
                "self.?int == optional.of($i)",
                "quantity($t).isLessThan(quantity($t))",
                "bool($t)",
                "type($?) == int",
            ],
        ),
        Give::Int => (
            &[
                "1",
                "0",
                "-3",
                "self.int",
                "self.long",
                "self.other",
                "self.deep.er.est",
                "self.numbers['a']",
                "x",
            ],
            &[
                "($i + $i)",
                "($i - $i)",
                "$i * $i",
                "($i / $i)",
                "($i % $i)",
                "-($i)",
                "size($t)",
                "$l.size()",
                "$w.size()",
                "int($d)",
                "int($t)",
                "int($m)",
                "($b ? $i : $i)",
                "$l.sum()",
                "$l.min()",
                "$l[$i]",
                "$t.indexOf($t)",
                "$o.a",
                "$m.getFullYear()",
                "$s.getHours()",
                "self.?int.orValue($i)",
                "self.list[?$i].orValue($i)",
            ],
        ),
        Give::Double => (
            &["1.5", "self.number", "-0.5"],
            &[
                "($d + $d)",
                "$d * $d",
                "double($i)",
                "double($t)",
                "($b ? $d : $d)",
            ],
        ),
        Give::Text => (
            &[
                "'a'",
                "\"bc\"",
                "''",
                "self.text",
                "self.word",
                "self.endless",
                "self.a__dash__b",
                "self.namespace",
                "self.map['a']",
            ],
            &[
                "($t + $t)",
                "string($i)",
                "string($d)",
                "$t.lowerAscii()",
                "$t.trim()",
                "$t.replace($t, $t)",
                "$t.substring($i)",
                "$w.join($t)",
                "$w[$i]",
                "$o.b",
                "($b ? $t : $t)",
                "'%s-%d'.format([$t, $i])",
                "'%s'.format([$?])",
                "$t.split(',')[0]",
                "self.?text.orValue($t)",
                "self.?text.optMap(y, y + $t).orValue($t)",
                "string($s)",
                "$t.charAt($i)",
            ],
        ),
        Give::Time => (
            &[
                "self.since",
                "self.day",
                "timestamp('2020-01-01T00:00:00Z')",
            ],
            &["($m + $s)", "($m - $s)", "timestamp($t)"],
        ),
        Give::Span => (
            &["self.span", "duration('1h')", "duration('x')"],
            &["($m - $m)", "($s + $s)", "duration($t)", "self.spans[$i]"],
        ),
        Give::Ints => (
            &[
                "self.list",
                "[]",
                "[1, 2]",
                "self.endlessList",
                "self.lists[0]",
            ],
            &[
                "[$i, $i]",
                "($l + $l)",
                "$l.filter(x, $b)",
                "$l.map(x, $i)",
                "$w.map(y, size(y))",
                "($b ? $l : $l)",
                "self.lists.flatten()",
                "$l.reverse()",
                "$l.sort()",
                "$l.distinct()",
                "$l.slice($i, $i)",
                "self.objects.map(o, o.a)",
            ],
        ),
        Give::Texts => (
            &[
                "self.texts",
                "self.set",
                "['a', 'b']",
                "self.endlessTexts",
                "[]",
            ],
            &[
                "[$t, $t]",
                "($w + $w)",
                "$w.filter(y, y == $t)",
                "$l.map(y, string(y))",
                "$t.split($t)",
                "self.map.map(k, k)",
                "self.map.transformList(k, v, k + v)",
                "[?self.?text, $t]",
            ],
        ),
        Give::Object => (
            &[
                "self.object",
                "self.same",
                "self.objects[0]",
                "self.maps['a']",
            ],
            &[
                "self.objects[$i]",
                "self.maps[$t]",
                "($b ? $o : $o)",
                "self.objects.filter(o, $b)[0]",
            ],
        ),
        Give::Any => (
            &[
                "self",
                "self.deep",
                "self.either",
                "self.bytes",
                "null",
                "self.embedded",
                "self.nope",
                "self.maybe",
                "self.map",
                "nope",
            ],
            &[
                "dyn($?)",
                "{$t: $?}",
                "[$?]",
                "optional.of($?)",
                "$?.size()",
                "$?.a",
                "$? + $?",
            ],
        ),
    }
}
