"""What a person looks at: evidence, sheets, pages, reviews and exports."""
