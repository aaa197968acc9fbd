"""From a record to the sentence that asks for its target."""
