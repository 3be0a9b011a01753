//! A chart: a figure that holds its numbers as a table, from which `charts.js` draws it.
//!
//! What is drawn is what stands in the table, so that nobody who reads the table misses anything; without scripts there
//! is the table alone. `{{ chart|safe }}` puts a chart into a page, whose `head` block loads `charts.js`.

use askama::Template;

use super::moment::Moment;

/// Series over one axis.
#[derive(Template)]
#[template(path = "components/chart.html")]
pub(crate) struct Chart {
    /// Names the figure within its page: letters, digits and `-`.
    pub(crate) id: &'static str,
    pub(crate) title: String,
    /// What one sees, in a sentence: for those who do not see the drawing, too.
    pub(crate) says: String,
    /// What the first column of the table is.
    pub(crate) over: &'static str,
    pub(crate) series: Vec<Series>,
    /// From the left to the right.
    pub(crate) rows: Vec<Row>,
    /// What the values should lie in.
    pub(crate) targets: Vec<Target>,
    /// The axis of values shows at least what lies between these.
    pub(crate) at_least: Option<(f64, f64)>,
    pub(crate) marks: Vec<Mark>,
}

/// A column of the table.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) shape: Shape,
    /// How many digits after the point its values have.
    pub(crate) digits: usize,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Line,
    /// Points alone, for what is measured now and then.
    Dots,
    /// Bars on an axis of their own, at the right.
    Bars,
    /// The lower and the upper edge of an area around a line; the two are next to each other.
    Low,
    High,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Line => "line",
            Shape::Dots => "dots",
            Shape::Bars => "bars",
            Shape::Low => "low",
            Shape::High => "high",
        }
    }
}

/// A row of the table: one value of each series, as far as there is one.
pub(crate) struct Row {
    pub(crate) at: At,
    pub(crate) values: Vec<Option<f64>>,
}

/// Where a row lies.
pub(crate) enum At {
    Time(Moment),
    /// Among others of equal width, such as `06:15` of a day.
    Label(String),
}

/// What values should lie in; an edge that is not there is where the axis ends.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) from: Option<f64>,
    pub(crate) to: Option<f64>,
}

/// Something that happened meanwhile, such as an alert: `severity` as alerts have it.
pub(crate) struct Mark {
    pub(crate) at: Moment,
    pub(crate) text: String,
    pub(crate) severity: String,
    /// Where more is said of it.
    pub(crate) href: String,
}

impl Chart {
    /// A value as the table shows it.
    fn shown(&self, series: &usize, value: &f64) -> String {
        let digits = self.series.get(*series).map_or(0, |series| series.digits);
        format!("{value:.digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_holds_its_numbers() {
        let at = |text: &str| At::Time(Moment::short(text.parse().unwrap()));
        let series = |name, shape| Series {
            name,
            unit: "mmHg",
            shape,
            digits: 0,
        };
        let chart = Chart {
            id: "pressure",
            title: "Blood pressure <at home>".to_owned(),
            says: "The average is 131/82 mmHg.".to_owned(),
            over: "When",
            series: vec![series("Systolic", Shape::Line), series("Diastolic", Shape::Dots)],
            rows: vec![
                Row {
                    at: at("2026-01-02T07:30:00Z"),
                    values: vec![Some(131.4), Some(82.0)],
                },
                Row {
                    at: at("2026-01-02T19:30:00Z"),
                    values: vec![None, Some(80.0)],
                },
            ],
            targets: vec![Target {
                name: "Systolic target".to_owned(),
                from: None,
                to: Some(135.0),
            }],
            at_least: Some((60.0, 160.0)),
            marks: Vec::new(),
        };
        let text = chart.render().unwrap();
        assert!(text.contains("Blood pressure &#60;at home&#62;"), "{text}");
        assert!(text.contains("data-shape=\"dots\""), "{text}");
        assert!(text.contains(">131</td>") && !text.contains("131.4"), "{text}");
        assert!(
            text.contains(">–</td>"),
            "a value that is not there is said: {text}"
        );
        assert!(text.contains("data-to=\"135\""), "{text}");
    }
}
