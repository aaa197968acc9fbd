"""What a network is measured beside: fusions and restorations that learn nothing."""
