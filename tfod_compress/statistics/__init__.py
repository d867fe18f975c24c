"""What is said about numbers: intervals, paired differences, margins. Any score, no task."""
