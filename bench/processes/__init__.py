"""What several processes of one service cost and keep."""
