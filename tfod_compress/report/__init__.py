"""A finished study's folder into report.html, results.csv, figures/*.svg and a table for the terminal."""

from tfod_compress.report.page import make_report
from tfod_compress.report.safe_compression import MARGIN, Fleet
from tfod_compress.report.terminal import print_table

__all__ = ["MARGIN", "Fleet", "make_report", "print_table"]
