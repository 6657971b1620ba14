"""From outcomes to rows, figures and exit codes. Rows are views, computed anew from what jobs left."""
