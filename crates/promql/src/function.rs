//! The functions of the language, as data: name, argument types, result type.

use std::fmt;

/// The type of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// A number.
    Scalar,
    /// One value per series.
    Vector,
    /// A range of values per series.
    Matrix,
    /// A text.
    String,
}

impl ValueType {
    /// The name that Prometheus uses in its messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! functions {
    ($($variant:ident, $name:literal, [$($arg:ident),*], $variadic:literal, $returns:ident, $experimental:literal;)*) => {
        /// A function of the language.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Function {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Function {
            /// Every function, in order of the names.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The function of that name.
            pub fn by_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The types of the arguments, optional ones included.
            pub fn arg_types(self) -> &'static [ValueType] {
                match self { $(Self::$variant => &[$(ty!($arg)),*],)* }
            }

            /// How many arguments beyond the required ones may follow: 0 none, -1 any number; otherwise so many, the
            /// last listed argument type being optional and repeated.
            pub fn variadic(self) -> i32 {
                match self { $(Self::$variant => $variadic,)* }
            }

            /// The type of the result.
            pub fn return_type(self) -> ValueType {
                match self { $(Self::$variant => ty!($returns),)* }
            }

            /// Whether the function stands behind the `promql-experimental-functions` feature.
            pub fn is_experimental(self) -> bool {
                match self { $(Self::$variant => $experimental,)* }
            }
        }
    };
}

macro_rules! ty {
    (V) => {
        ValueType::Vector
    };
    (M) => {
        ValueType::Matrix
    };
    (S) => {
        ValueType::Scalar
    };
    (Str) => {
        ValueType::String
    };
}

functions! {
    Abs, "abs", [V], 0, V, false;
    Absent, "absent", [V], 0, V, false;
    AbsentOverTime, "absent_over_time", [M], 0, V, false;
    Acos, "acos", [V], 0, V, false;
    Acosh, "acosh", [V], 0, V, false;
    Asin, "asin", [V], 0, V, false;
    Asinh, "asinh", [V], 0, V, false;
    Atan, "atan", [V], 0, V, false;
    Atanh, "atanh", [V], 0, V, false;
    AvgOverTime, "avg_over_time", [M], 0, V, false;
    Ceil, "ceil", [V], 0, V, false;
    Changes, "changes", [M], 0, V, false;
    Clamp, "clamp", [V, S, S], 0, V, false;
    ClampMax, "clamp_max", [V, S], 0, V, false;
    ClampMin, "clamp_min", [V, S], 0, V, false;
    Cos, "cos", [V], 0, V, false;
    Cosh, "cosh", [V], 0, V, false;
    CountOverTime, "count_over_time", [M], 0, V, false;
    DayOfMonth, "day_of_month", [V], 1, V, false;
    DayOfWeek, "day_of_week", [V], 1, V, false;
    DayOfYear, "day_of_year", [V], 1, V, false;
    DaysInMonth, "days_in_month", [V], 1, V, false;
    Deg, "deg", [V], 0, V, false;
    Delta, "delta", [M], 0, V, false;
    Deriv, "deriv", [M], 0, V, false;
    DoubleExponentialSmoothing, "double_exponential_smoothing", [M, S, S], 0, V, true;
    End, "end", [], 0, S, true;
    Exp, "exp", [V], 0, V, false;
    FirstOverTime, "first_over_time", [M], 0, V, false;
    Floor, "floor", [V], 0, V, false;
    HistogramAvg, "histogram_avg", [V], 0, V, false;
    HistogramCount, "histogram_count", [V], 0, V, false;
    HistogramFraction, "histogram_fraction", [S, S, V], 0, V, false;
    HistogramQuantile, "histogram_quantile", [S, V], 0, V, false;
    HistogramQuantiles, "histogram_quantiles", [V, Str, S, S], 9, V, true;
    HistogramStddev, "histogram_stddev", [V], 0, V, false;
    HistogramStdvar, "histogram_stdvar", [V], 0, V, false;
    HistogramSum, "histogram_sum", [V], 0, V, false;
    Hour, "hour", [V], 1, V, false;
    Idelta, "idelta", [M], 0, V, false;
    Increase, "increase", [M], 0, V, false;
    Info, "info", [V, V], 1, V, true;
    Irate, "irate", [M], 0, V, false;
    LabelJoin, "label_join", [V, Str, Str, Str], -1, V, false;
    LabelReplace, "label_replace", [V, Str, Str, Str, Str], 0, V, false;
    LastOverTime, "last_over_time", [M], 0, V, false;
    Ln, "ln", [V], 0, V, false;
    Log10, "log10", [V], 0, V, false;
    Log2, "log2", [V], 0, V, false;
    MadOverTime, "mad_over_time", [M], 0, V, true;
    MaxOf, "max_of", [S, S], 0, S, true;
    MaxOverTime, "max_over_time", [M], 0, V, false;
    MinOf, "min_of", [S, S], 0, S, true;
    MinOverTime, "min_over_time", [M], 0, V, false;
    Minute, "minute", [V], 1, V, false;
    Month, "month", [V], 1, V, false;
    Pi, "pi", [], 0, S, false;
    PredictLinear, "predict_linear", [M, S], 0, V, false;
    PresentOverTime, "present_over_time", [M], 0, V, false;
    QuantileOverTime, "quantile_over_time", [S, M], 0, V, false;
    Rad, "rad", [V], 0, V, false;
    Range, "range", [], 0, S, true;
    Rate, "rate", [M], 0, V, false;
    Resets, "resets", [M], 0, V, false;
    Round, "round", [V, S], 1, V, false;
    Scalar, "scalar", [V], 0, S, false;
    Sgn, "sgn", [V], 0, V, false;
    Sin, "sin", [V], 0, V, false;
    Sinh, "sinh", [V], 0, V, false;
    Sort, "sort", [V], 0, V, false;
    SortByLabel, "sort_by_label", [V, Str], -1, V, true;
    SortByLabelDesc, "sort_by_label_desc", [V, Str], -1, V, true;
    SortDesc, "sort_desc", [V], 0, V, false;
    Sqrt, "sqrt", [V], 0, V, false;
    Start, "start", [], 0, S, true;
    StartTimestamp, "start_timestamp", [V], 0, V, true;
    StddevOverTime, "stddev_over_time", [M], 0, V, false;
    StdvarOverTime, "stdvar_over_time", [M], 0, V, false;
    Step, "step", [], 0, S, true;
    SumOverTime, "sum_over_time", [M], 0, V, false;
    Tan, "tan", [V], 0, V, false;
    Tanh, "tanh", [V], 0, V, false;
    Time, "time", [], 0, S, false;
    Timestamp, "timestamp", [V], 0, V, false;
    TsOfFirstOverTime, "ts_of_first_over_time", [M], 0, V, true;
    TsOfLastOverTime, "ts_of_last_over_time", [M], 0, V, true;
    TsOfMaxOverTime, "ts_of_max_over_time", [M], 0, V, true;
    TsOfMinOverTime, "ts_of_min_over_time", [M], 0, V, true;
    Vector, "vector", [S], 0, V, false;
    Year, "year", [V], 1, V, false;
}
