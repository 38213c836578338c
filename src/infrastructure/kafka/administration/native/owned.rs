//! What librdkafka gives and takes: pointers, texts and arrays.

use std::ffi::{CString, c_char};
use std::ptr::NonNull;

use rdkafka::bindings as sys;

use super::refused::{Refused, text};

/// An object of librdkafka's that is destroyed with this.
pub struct Owned<T> {
    pointer: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// # Safety
    /// `pointer` is null, or an object that `destroy` destroys and that nothing else does.
    pub unsafe fn new(pointer: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Self { pointer, destroy })
    }

    pub fn as_ptr(&self) -> *mut T {
        self.pointer.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: promised to `new`.
        unsafe { (self.destroy)(self.pointer.as_ptr()) }
    }
}

/// A text for librdkafka.
pub fn c_text(text: &str) -> Result<CString, Refused> {
    CString::new(text).map_err(|_| Refused::invalid("a name or value has a NUL in it".to_owned()))
}

/// The pointers in an array that a getter returns together with their number.
///
/// # Safety
/// `get` returns an array of as many pointers as it writes to its argument, which live as long as they are used.
pub unsafe fn listed<T>(get: impl FnOnce(*mut usize) -> *mut *const T) -> Vec<*const T> {
    let mut count = 0;
    let array = get(&raw mut count);
    if array.is_null() || count == 0 {
        return Vec::new();
    }
    // SAFETY: promised.
    unsafe { std::slice::from_raw_parts(array.cast_const(), count) }.to_vec()
}

/// # Safety
/// `error` is null, or an error that lives for the call.
pub unsafe fn refusal(error: *const sys::rd_kafka_error_t) -> Option<Refused> {
    if error.is_null() {
        return None;
    }
    // SAFETY: promised.
    let (code, reason) =
        unsafe { (sys::rd_kafka_error_code(error), text(sys::rd_kafka_error_string(error)).unwrap_or_default()) };
    Refused::unless_none(code, Some(reason))
}

/// A list of partitions, each with an offset.
pub struct Partitions(Owned<sys::rd_kafka_topic_partition_list_t>);

impl Partitions {
    pub fn of<'a>(elements: impl IntoIterator<Item = (&'a str, i32, i64)>) -> Result<Self, Refused> {
        const ROOM: i32 = 16;
        // SAFETY: the new list is ours.
        let list = unsafe {
            Owned::new(sys::rd_kafka_topic_partition_list_new(ROOM), sys::rd_kafka_topic_partition_list_destroy)
        };
        let list = list.ok_or_else(Refused::no_memory)?;
        for (topic, partition, offset) in elements {
            let topic = c_text(topic)?;
            // SAFETY: the list copies the topic, and the element that it returns is valid until the next is added.
            unsafe {
                let element = sys::rd_kafka_topic_partition_list_add(list.as_ptr(), topic.as_ptr(), partition);
                (*element).offset = offset;
            }
        }
        Ok(Self(list))
    }

    pub fn as_ptr(&self) -> *mut sys::rd_kafka_topic_partition_list_t {
        self.0.as_ptr()
    }
}

/// One of a list.
pub struct Element {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub refused: Option<Refused>,
}

/// # Safety
/// `list` is null, or a list that lives for the call.
pub unsafe fn elements(list: *const sys::rd_kafka_topic_partition_list_t) -> Vec<Element> {
    if list.is_null() {
        return Vec::new();
    }
    // SAFETY: promised.
    let list = unsafe { &*list };
    let count = usize::try_from(list.cnt).unwrap_or_default();
    // SAFETY: a list has so many elements.
    (0..count).map(|place| unsafe { element(list.elems.add(place)) }).collect()
}

/// # Safety
/// `element` is one that lives for the call.
pub unsafe fn element(element: *const sys::rd_kafka_topic_partition_t) -> Element {
    // SAFETY: promised.
    let element = unsafe { &*element };
    Element {
        // SAFETY: an element has a topic.
        topic: unsafe { text(element.topic) }.unwrap_or_default(),
        partition: element.partition,
        offset: element.offset,
        refused: Refused::unless_none(element.err, None),
    }
}

/// Where librdkafka writes why it makes no object.
pub struct Complaint([c_char; 512]);

impl Complaint {
    pub fn new() -> Self {
        Self([0; 512])
    }

    pub fn as_mut_ptr(&mut self) -> *mut c_char {
        self.0.as_mut_ptr()
    }

    pub fn size(&self) -> usize {
        self.0.len()
    }

    pub fn refused(&self) -> Refused {
        // SAFETY: it was zeros, and librdkafka ends what it writes with a zero.
        Refused::invalid(unsafe { text(self.0.as_ptr()) }.unwrap_or_default())
    }
}
