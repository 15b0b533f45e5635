"""What a person reads: one offline page and the model card, both made from report.json."""
