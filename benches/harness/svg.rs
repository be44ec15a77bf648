//! Bar charts as SVG, by hand: groups of bars, one colour a series.

/// One picture below another.
pub struct Chart {
    pub title: String,
    pub series: Vec<String>,
    /// A label and a bar for each series.
    pub groups: Vec<(String, Vec<Option<Bar>>)>,
    /// A height at which a line is drawn, such as 1.0 for ratios.
    pub line: Option<f64>,
}

/// A height and its label.
pub type Bar = (f64, String);

/// Okabe and Ito's palette, which colour-blind readers can tell apart.
const COLOURS: [&str; 7] = ["#0072b2", "#e69f00", "#999999", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
const BAR_WIDTH: f64 = 30.0;
const HEIGHT: f64 = 200.0;
const PANEL: f64 = HEIGHT + 100.0;

pub fn render(charts: &[Chart]) -> String {
    // Wide enough for a title.
    let width = charts.iter().map(Chart::width).fold(620.0, f64::max);
    let height = PANEL * charts.len() as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (n, chart) in charts.iter().enumerate() {
        chart.draw(PANEL * n as f64, width, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

impl Chart {
    fn group_width(&self) -> f64 {
        // Six pixels a letter at this size.
        let labels = self.groups.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0) as f64 * 6.0;
        (BAR_WIDTH * self.series.len() as f64).max(labels) + 24.0
    }

    fn width(&self) -> f64 {
        40.0 + self.group_width() * self.groups.len() as f64
    }

    fn draw(&self, top: f64, width: f64, out: &mut String) {
        let bars = self.groups.iter().flat_map(|(_, bars)| bars.iter().flatten());
        let most = bars.map(|(height, _)| *height).fold(self.line.unwrap_or(0.0), f64::max).max(f64::MIN_POSITIVE);
        let floor = top + 60.0 + HEIGHT;
        let y = |value: f64| floor - value / most * HEIGHT;
        let text = |x: f64, y: f64, anchor: &str, more: &str, text: &str| {
            let text = text.replace('&', "&amp;").replace('<', "&lt;");
            format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{more}>{text}</text>\n")
        };
        out.push_str(&text(20.0, top + 20.0, "start", " font-size=\"14\" font-weight=\"bold\"", &self.title));
        let mut x = 20.0;
        for (n, name) in self.series.iter().enumerate() {
            out.push_str(&bar(x, top + 28.0, 10.0, 10.0, n));
            out.push_str(&text(x + 14.0, top + 37.0, "start", "", name));
            x += 30.0 + 7.0 * name.len() as f64;
        }
        for (n, (label, bars)) in self.groups.iter().enumerate() {
            let left = 32.0 + self.group_width() * n as f64;
            for (series, value) in bars.iter().enumerate() {
                let Some((height, label)) = value else {
                    continue;
                };
                let x = left + BAR_WIDTH * series as f64;
                out.push_str(&bar(x, y(*height), BAR_WIDTH - 3.0, floor - y(*height), series));
                out.push_str(&text(x + BAR_WIDTH / 2.0 - 1.5, y(*height) - 3.0, "middle", " font-size=\"9\"", label));
            }
            let middle = left + BAR_WIDTH * self.series.len() as f64 / 2.0;
            out.push_str(&text(middle, floor + 15.0, "middle", "", label));
        }
        let rule = |at: f64, dash: &str| {
            format!("<path d=\"M20 {at:.1}H{:.1}\" stroke=\"#444\"{dash} fill=\"none\"/>\n", width - 10.0)
        };
        out.push_str(&rule(floor, ""));
        if let Some(line) = self.line {
            out.push_str(&rule(y(line), " stroke-dasharray=\"4 3\""));
        }
    }
}

fn bar(x: f64, y: f64, width: f64, height: f64, series: usize) -> String {
    let colour = COLOURS[series % COLOURS.len()];
    format!("<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>\n")
}
