"""What arrives over HTTP, one file per sender: checked for what must be refused at once, landed, answered."""
