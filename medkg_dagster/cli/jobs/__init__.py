"""Commands that send jobs on their way, let them through gates, and say what came of them."""
