"""What harness and reports share: statistics, number formats, the metric type, SVG drawing."""
