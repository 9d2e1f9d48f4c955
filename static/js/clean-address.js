// A voucher's code leaves the address bar, and so the history, once it stands in the form.
history.replaceState(null, "", location.pathname);
